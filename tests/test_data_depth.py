"""Pixels of 16 bits: read from PNG, TIFF, FITS, .npy and .npz to the number, or refused by name."""

import json
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

import nextpixel as npx
from nextpixel.data import load_data
from nextpixel.data.sources import science
from nextpixel.errors import NextPixelError
from nextpixel.images import quantize, to_pixels
from tests import extras

RNG = np.random.default_rng(0)
DEEP = RNG.integers(0, 65536, (12, 2, 6, 10)).astype(np.uint16)


def save_pages(path, planes):
    first, *rest = [Image.fromarray(plane) for plane in planes]
    path.parent.mkdir(parents=True, exist_ok=True)
    first.save(path, save_all=True, append_images=rest)


def all_pixels(data):
    """Pixels of all splits, sorted by their bytes, as they come in the split's order."""
    parts = [part.levels for part in (data.train, data.validation, data.test)]
    return sorted(image.numpy().tobytes() for image in torch.cat(parts).int())


def expected(array):
    return sorted(np.ascontiguousarray(image, np.int32).tobytes() for image in array)


def test_pages_of_a_tiff_are_colors(tmp_path):
    for number, image in enumerate(DEEP):
        save_pages(tmp_path / f"{number:02}.tif", image)
    data = load_data(tmp_path)
    assert (data.shape, data.level_count, data.protocol) == ((2, 6, 10), 65536, "quantized")
    assert data.train.levels.dtype == torch.int32
    assert all_pixels(data) == expected(DEEP)


def test_a_gray_png_keeps_its_16_bits(tmp_path):
    for number, image in enumerate(DEEP):
        Image.fromarray(image[0]).save(tmp_path / f"{number:02}.png")
    assert all_pixels(load_data(tmp_path)) == expected(DEEP[:, :1])


def png_of_16_bits(pixels):
    """A PNG in color of 16 bits, which Pillow writes none of."""

    def chunk(kind, content):
        return (struct.pack(">I", len(content)) + kind + content
                + struct.pack(">I", zlib.crc32(kind + content)))  # fmt: skip

    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    parts = [chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_a_color_png_of_16_bits_is_refused_and_never_read_as_8(tmp_path):
    (tmp_path / "deep.png").write_bytes(png_of_16_bits(np.zeros((4, 5, 3), np.uint16)))
    with pytest.raises(NextPixelError, match=r"deep\.png: has 16 bits in several colors"):
        load_data(tmp_path)


def test_a_tiff_of_floats_is_refused(tmp_path):
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(NextPixelError, match=r"a\.tif: must have 8 or 16 bits a color, got mode F"):
        load_data(tmp_path)


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_arrays_of_16_bits_keep_them(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    np.save(path, DEEP) if suffix == "npy" else np.savez(path, levels=DEEP)
    data = load_data(path)
    assert (data.shape, data.level_count) == ((2, 6, 10), 65536)
    assert all_pixels(data) == expected(DEEP)


def test_any_number_of_colors(tmp_path):
    five = RNG.integers(0, 4096, (12, 5, 6, 10)).astype(np.uint16)
    np.save(tmp_path / "a.npy", five)
    data = load_data(tmp_path / "a.npy", levels=4096)
    assert (data.shape, data.level_count, data.protocol) == ((5, 6, 10), 4096, "levels")
    assert all_pixels(data) == expected(five)


def test_numbers_below_zero_need_an_offset(tmp_path):
    signed = (DEEP.astype(np.int32) - 32768).astype(np.int16)
    np.save(tmp_path / "a.npy", signed)
    with pytest.raises(
        NextPixelError, match=r"numbers must be 0 to 65535, got -.*offset says what"
    ):
        load_data(tmp_path / "a.npy")
    assert all_pixels(load_data(tmp_path / "a.npy", offset=32768)) == expected(DEEP)


def test_labels_of_a_zipped_array(tmp_path):
    np.savez(tmp_path / "a.npz", levels=DEEP, labels=np.arange(12) % 3)
    data = load_data(tmp_path / "a.npz")
    assert data.classes == 3
    assert len(data.train.labels) == len(data.train)


@pytest.mark.parametrize("held", [{"images": DEEP}, {"levels": DEEP.astype(float)}])
def test_a_zipped_array_without_levels_is_refused(tmp_path, held):
    np.savez(tmp_path / "a.npz", **held)
    with pytest.raises(NextPixelError, match="must hold"):
        load_data(tmp_path / "a.npz")


@pytest.mark.parametrize("levels", [2, 3, 10, 256, 1000, 4096, 40000, 65535, 65536])
@pytest.mark.parametrize("depth", [8, 16])
def test_pixels_of_levels_are_those_levels_again(levels, depth):
    if levels > 1 << depth:
        with pytest.raises(ValueError, match="levels must be 2 to 256"):
            quantize(torch.zeros(1), levels, depth)
        return
    every = torch.arange(levels)
    pixels = to_pixels(every, levels, depth)
    assert torch.equal(quantize(pixels, levels, depth).long(), every)
    assert (pixels[0], pixels[-1]) == (0, (1 << depth) - 1)


def test_fewer_levels_than_values_are_stated(tmp_path):
    np.save(tmp_path / "a.npy", DEEP)
    data = load_data(tmp_path / "a.npy", levels=4096)
    assert data.protocol == "quantized"
    assert all_pixels(data) == expected(np.minimum(DEEP.astype(np.int64) * 4096 // 65535, 4095))


@pytest.mark.parametrize("options", [{"levels": 2}, {"protocol": "dynamic"}])
def test_binary_protocols_are_of_8_bits(tmp_path, options):
    np.save(tmp_path / "a.npy", DEEP)
    with pytest.raises(ValueError, match=r"levels must be above 2, quantized, for .*16-bit pixels"):
        load_data(tmp_path / "a.npy", **options)


def test_more_levels_than_8_bit_pixels_have_are_refused(tmp_path):
    with pytest.raises(ValueError, match="levels must be 2 to 256 for mnist, which has 8-bit"):
        load_data("mnist", levels=1000)


def test_pictures_with_other_numbers_of_pages_are_refused(tmp_path):
    save_pages(tmp_path / "a.tif", DEEP[0])
    save_pages(tmp_path / "b.tif", [*DEEP[1], DEEP[0, 0]])
    with pytest.raises(NextPixelError, match=r"a\.tif: has 2 colors, others of the folder 3"):
        load_data(tmp_path)


def test_without_astropy_a_fits_file_names_the_extra(tmp_path, monkeypatch):
    (tmp_path / "a.fits").write_bytes(b"SIMPLE")
    monkeypatch.setattr(science.importlib, "import_module", lambda name: (_ for _ in ()).throw(
        ImportError(name)))  # fmt: skip
    with pytest.raises(NextPixelError, match=r"needs astropy.*pip install 'nextpixel\[science\]'"):
        load_data(tmp_path)


def test_fits_files_are_read_to_the_number(tmp_path):
    fits = extras.need("astropy.io.fits")
    for number, image in enumerate(DEEP):
        fits.writeto(tmp_path / f"{number:02}.fits", image)
    assert all_pixels(load_data(tmp_path)) == expected(DEEP)


def test_a_damaged_fits_file_is_refused(tmp_path):
    extras.need("astropy.io.fits")
    (tmp_path / "a.fits").write_bytes(b"no such thing" * 300)
    with pytest.raises(NextPixelError, match=r"a\.fits: "):
        load_data(tmp_path)


def test_a_color_tiff_of_16_bits_is_read_by_tifffile(tmp_path):
    tifffile = extras.need("tifffile")
    three = RNG.integers(0, 65536, (12, 6, 10, 3)).astype(np.uint16)
    for number, image in enumerate(three):
        tifffile.imwrite(tmp_path / f"{number:02}.tif", image, photometric="rgb")
    assert all_pixels(load_data(tmp_path)) == expected(np.moveaxis(three, 3, 1))


def test_tensors_of_many_levels():
    levels = torch.randint(0, 60000, (20, 2, 4, 4))
    data = npx.from_tensors(levels, level_count=65536)
    assert (data.level_count, data.train.levels.dtype) == (65536, torch.int32)


def test_levels_of_codes_may_have_names(tmp_path):
    codes, names = RNG.integers(0, 300, (12, 1, 4, 4)), [f"entry {n}" for n in range(300)]
    np.savez(tmp_path / "codes.npz", levels=codes, level_names=names)
    data = load_data(tmp_path / "codes.npz", levels=300)
    assert data.level_names == tuple(names)
    model = npx.build("pixelcnn", shape=data.shape, levels=300, features=4, layers=1)
    npx.fit(model, data, npx.TrainConfig(steps=1, batch_size=2, threads=1), out=tmp_path / "run")
    kept = json.loads((tmp_path / "run" / "config.json").read_text())["data"]
    assert kept["level_names"] == names
    assert "class_names" not in kept
    with pytest.raises(ValueError, match="names must be 300 different ones, one for each level"):
        data.with_level_names(names[:-1])


@pytest.mark.parametrize(("suffix", "head", "values"), [
    ("ppm", b"P6 5 4 65535\n", np.zeros((4, 5, 3), ">u2")),
    ("pgm", b"P5 5 4 1023\n", np.zeros((4, 5), ">u2")),
])  # fmt: skip
def test_a_portable_map_that_would_be_rescaled_is_refused(tmp_path, suffix, head, values):
    (tmp_path / f"a.{suffix}").write_bytes(head + values.tobytes())
    with pytest.raises(
        NextPixelError, match=r"has numbers up to .*, which are not read as they are"
    ):
        load_data(tmp_path)


@pytest.mark.parametrize("shape", [(6, 10, 2), (6, 10, 5), (3, 10, 3), (4, 10, 3), (6, 10, 4)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_interleaved_tiffs_have_their_axes_whatever_their_sizes(tmp_path, shape, kind):
    tifffile = extras.need("tifffile")
    images = RNG.integers(0, np.iinfo(kind).max, (12, *shape)).astype(kind)
    for number, image in enumerate(images):
        tifffile.imwrite(tmp_path / f"{number:02}.tif", image, planarconfig="contig",
                         photometric="minisblack" if shape[2] != 3 else "rgb")  # fmt: skip
    data = load_data(tmp_path, levels=256 if kind == np.uint8 else 65536)
    assert data.shape == (shape[2], *shape[:2])
    assert all_pixels(data) == expected(np.moveaxis(images, 3, 1))


def test_a_set_of_datasets_is_never_read_as_8_bits(tmp_path):
    datasets = extras.need("datasets")
    for number in range(5):
        path = tmp_path / f"{number}.png"
        path.write_bytes(png_of_16_bits(np.full((4, 5, 3), 1000 * number, np.uint16)))
    paths = sorted(map(str, tmp_path.glob("*.png")))
    found = datasets.Dataset.from_dict({"image": paths}).cast_column("image", datasets.Image())
    with pytest.raises(NextPixelError, match="has 16 bits in several colors"):
        npx.data.from_datasets(found)
    with pytest.raises(NextPixelError, match="has 16 bits in several colors"):
        npx.data.from_datasets(found.to_iterable_dataset(), buffer=1, validation=1)
