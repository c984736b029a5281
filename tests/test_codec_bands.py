"""Bands: pictures of any size by nets of one window, in waves."""

import math
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

import nextpixel as npx
from nextpixel import models
from nextpixel.cli.app import main
from nextpixel.codec import archive, reader
from nextpixel.codec.bands import BandCoder
from nextpixel.codec.container import read_archive
from nextpixel.codec.reader import Reader
from nextpixel.engine.cpu.window import prepare_window
from nextpixel.errors import NextPixelError
from nextpixel.models.windowed import GAIN, RelativeConv2d
from nextpixel.runtime.threads import Threads
from tests.laws.cases import CASES, disturb

WINDOWED = ["windowed", "windowed-colors", "plain-shallow", "plain-softmax"]
PLAIN = {"features": 6, "layers": 1, "side": 5, "pointwise": 2, "colors": "independent"}
SHAPES = [(7, 9), (1, 1), (3, 1), (1, 6), (40, 4), (2, 50)]


def build(name, size=(6, 6)):
    if name == "plain-shallow":
        model = models.build(
            "pixelcnn", shape=(2, *size), levels=9, head="logistic", components=9, **PLAIN
        )
        return disturb(model, 0.2)
    if name == "plain-softmax":
        return disturb(models.build("pixelcnn", shape=(3, *size), levels=5, **PLAIN), 0.4)
    return CASES[name].build(*size).float()


def coder_of(model):
    window = prepare_window(model)
    assert window is not None
    return BandCoder(model, window)


def draw(model, shapes, seed=1):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, model.levels, (model.colors, *shape)) for shape in shapes]


@pytest.mark.parametrize("name", WINDOWED)
def test_bands_come_back(name):
    model = build(name)
    coder, bands = coder_of(model), draw(model, SHAPES)
    chunk = coder.encode(bands)
    found, crc = coder.decode(chunk.payload, [band.shape for band in bands])
    assert crc == chunk.crc
    assert all(map(np.array_equal, found, bands))


@pytest.mark.parametrize("name", WINDOWED)
@pytest.mark.parametrize("shape", [(7, 9), (1, 1), (20, 5)])
def test_bands_cost_what_the_model_says(name, shape):
    model = build(name, shape)
    (band,) = bands = draw(model, [shape])
    with torch.no_grad():
        expected = -model.log_prob(torch.from_numpy(band)[None]).item() / math.log(2)
    chunk = coder_of(model).encode(bands)
    assert chunk.ideal_bits == pytest.approx(expected, rel=1e-5)
    assert 8 * len(chunk.payload) < 1.01 * chunk.ideal_bits + 16


@pytest.mark.parametrize("side", [3, 5, 7, 9])
def test_weights_of_a_window_are_summed_in_one_order(side):
    """By torch's own sum, in the order of a processor, archives would be of that processor."""
    conv, reach = RelativeConv2d(3, 16, side, sees_self=False), side // 2
    weight = (GAIN * conv.weight * conv.mask).detach().numpy()
    taps = list(np.moveaxis(weight.reshape(16, 3, -1), 2, 0))
    whole = len(taps) // 8 * 8
    total = np.zeros((16, 3), np.float32)
    for tap in taps[whole:]:
        total = total + tap
    for first in range(min(whole, 8)):
        part = np.zeros((16, 3), np.float32)
        for tap in taps[first:whole:8]:
            part = part + tap
        total = total + part
    left = weight[:, :, reach, reach - 1] - total / 2
    np.testing.assert_array_equal(conv.masked[:, :, reach, reach - 1].detach().numpy(), left)


def test_a_pixel_reads_nothing_that_comes_later():
    """What a wave says of a pixel follows from its past in the raster scan, and nothing else."""
    model = build("windowed-colors")
    coder, (band,) = coder_of(model), draw(model, [(5, 8)])
    changed = band.copy()
    changed[:, 3, 5:], changed[:, 4:] = 0, 0
    with torch.no_grad():
        before, after = (
            model.predict(torch.from_numpy(x)[None]).log_prob(torch.from_numpy(x)[None])
            for x in (band, changed)
        )
    same = torch.arange(40).view(5, 8) < 3 * 8 + 5
    torch.testing.assert_close(before[..., same], after[..., same], rtol=0, atol=0)
    bits = [coder.encode([x]).ideal_bits for x in (band, changed)]
    differ = (after - before)[..., ~same].sum().item() / math.log(2)
    assert bits[0] - bits[1] == pytest.approx(differ, rel=1e-4)


@pytest.mark.parametrize("name", ["plain", "residual", "windowed-independent-class", "local-class"])
def test_nets_of_more_than_a_window_or_with_conditions_have_none(name):
    assert prepare_window(CASES[name].build(6, 6).float()) is None


def test_dependent_colors_have_none():
    assert prepare_window(CASES["windowed-dependent"].build(6, 6).float()) is None


class Pictures:
    """Pictures of several sizes, as a source."""

    condition, metadata, gray = None, {"kind": "test"}, ()

    def __init__(self, pictures):
        self.pictures = pictures
        self.sizes = [picture.shape[1:] for picture in pictures]
        self.count = len(pictures)

    def image(self, number):
        return self.pictures[number]


def written(model, pictures, **options):
    made = BytesIO()
    archive.write(made, model, Pictures(pictures), **options)
    return made.getvalue()


@pytest.mark.parametrize("rows", [1, 3, 256])
def test_archives_of_pictures_of_any_size_come_back(rows, monkeypatch):
    monkeypatch.setattr(archive, "BAND_ROWS", rows)
    model = build("windowed-colors")
    pictures = draw(model, [(7, 9), (1, 1), (12, 4), (7, 9)])
    data = written(model, pictures)
    monkeypatch.setattr(archive, "BAND_ROWS", 100)  # the archive knows its own
    reader = Reader(read_archive(data), model)
    found = [image for image, _ in reader.images()]
    assert all(map(np.array_equal, found, pictures))
    (third,) = [image for image, _ in reader.images(2, 3)]
    assert np.array_equal(third, pictures[2])


def test_bytes_are_the_same_with_any_number_of_threads(monkeypatch):
    monkeypatch.setattr(archive, "BAND_ROWS", 4)
    model = build("windowed-colors")
    pictures = draw(model, [(30, 9), (8, 8)])
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert Threads().count == 1
        one = written(model, pictures, per_chunk=2)
        torch.set_num_threads(2)
        two = written(model, pictures, per_chunk=2)
    finally:
        torch.set_num_threads(before)
    assert one == two


def comes_back(coder, payload, chunk):
    """Whether a stream decodes to the levels of a chunk, as its reader judges."""
    try:
        shapes = [(coder.model.colors, 9, 9), (coder.model.colors, 3, 3)]
        return coder.decode(payload, shapes)[1] == chunk.crc
    except NextPixelError:
        return False


def test_damaged_streams_are_refused_and_never_hang():
    model = build("windowed-colors")
    coder, bands = coder_of(model), draw(model, [(9, 9), (3, 3)])
    chunk = coder.encode(bands)
    payload = chunk.payload
    rng = np.random.default_rng(3)
    for _ in range(300):
        damaged = bytearray(payload)
        damaged[rng.integers(len(payload))] ^= rng.integers(1, 256)
        assert not comes_back(coder, bytes(damaged), chunk)
    assert not any(comes_back(coder, payload[:cut], chunk) for cut in range(len(payload)))


def test_an_archive_of_bands_is_refused_by_a_net_of_more_than_a_window(monkeypatch):
    model, other = build("windowed"), CASES["plain"].build(6, 6).float()
    data = written(model, draw(model, [(5, 5)]))
    opened = read_archive(data)
    monkeypatch.setattr(reader, "fingerprint", lambda _: opened.header.fingerprint)
    other.levels = model.levels
    with pytest.raises(NextPixelError, match="reads more than one window"):
        Reader(opened, other)


def test_photographs_of_a_folder_come_back_by_the_command_line(tmp_path):
    model = disturb(models.build("windowed-pixelcnn", shape=(3, 8, 8), levels=256), 0.02)
    npx.save(model, tmp_path / "net")
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(1)
    for name, size in (("a.png", (5, 7, 3)), ("b.png", (1, 1, 3))):
        Image.fromarray(rng.integers(0, 256, size, dtype=np.uint8)).save(folder / name)
    net, made = str(tmp_path / "net"), str(tmp_path / "a.npx")
    assert main(["compress", net, str(folder), made]) == 0
    assert main(["decompress", net, made, str(tmp_path / "back")]) == 0
    for name in ("a.png", "b.png"):
        assert np.array_equal(
            np.asarray(Image.open(folder / name)), np.asarray(Image.open(tmp_path / "back" / name))
        )


def test_gray_pictures_cost_what_the_first_color_costs_of_a_picture_of_alike_colors():
    model = build("windowed-colors", (7, 9))
    (gray,) = np.random.default_rng(4).integers(0, model.levels, (1, 1, 7, 9))
    alike = torch.from_numpy(np.repeat(gray[None], model.colors, 1))
    with torch.no_grad():
        expected = -model.predict(alike).log_prob(alike)[:, 0].sum().item() / math.log(2)
    assert coder_of(model).encode([gray]).ideal_bits == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("rows", [3, 256])
@pytest.mark.parametrize("gray", [(0, 2), (1,), (0, 1, 2)])
def test_pictures_in_gray_and_in_color_come_back_from_one_archive(gray, rows, monkeypatch):
    monkeypatch.setattr(archive, "BAND_ROWS", rows)
    model = build("windowed-colors")
    pictures = draw(model, [(7, 9), (6, 6), (12, 4)])
    source = Pictures([x[:1] if n in gray else x for n, x in enumerate(pictures)])
    source.gray = gray
    made = BytesIO()
    report = archive.write(made, model, source)
    made.seek(0)
    archive.verify(made, model, source)
    opened = read_archive(made.getvalue())
    found = [image for image, _ in Reader(opened, model).images()]
    assert all(map(np.array_equal, found, source.pictures))
    values = sum(x.size for x in source.pictures)
    assert (report.values, reader.values_in(opened.header, Reader(opened, model).tiles)) == (
        values, values)  # fmt: skip


@pytest.mark.parametrize("said", [[3], [-1], "all", 7, [None]])
def test_gray_images_that_are_none_are_refused(said):
    model = build("windowed-colors")
    data = written(model, draw(model, [(7, 9), (5, 5)]))
    opened = read_archive(data)
    opened.header.metadata["gray"] = said
    with pytest.raises(NextPixelError, match="the header of the archive makes no sense"):
        Reader(opened, model)


def test_what_does_not_come_back_is_seen(monkeypatch):
    model = build("windowed-colors")
    source, decode = Pictures(draw(model, [(7, 9), (5, 5)])), BandCoder.decode

    def wrong(self, payload, shapes):
        bands, crc = decode(self, payload, shapes)
        bands[-1][0, 0, 0] ^= 1
        return bands, crc

    made = BytesIO(written(model, source.pictures))
    archive.verify(made, model, source)
    monkeypatch.setattr(BandCoder, "decode", wrong)
    with pytest.raises(NextPixelError, match="image 1 did not come back as it was"):
        archive.verify(BytesIO(made.getvalue()), model, source)


def test_an_interrupt_ends_what_other_threads_code(monkeypatch):
    model = build("windowed-colors")
    coder = coder_of(model)
    (band,) = draw(model, [(60, 40)])
    whole = coder.encode([band])
    with pytest.raises(KeyboardInterrupt), reader.interruptible(coder):
        raise KeyboardInterrupt
    assert coder.encode([band]).ideal_bits == 0.0  # left off before the first pixel
    with reader.interruptible(coder):
        assert coder.encode([band]) == whole


def test_a_color_prepared_after_another_is_what_it_is_by_itself(monkeypatch):
    model = build("windowed-colors")
    coder, bands = coder_of(model), draw(model, [(6, 7)])
    advanced = coder.encode(bands)
    monkeypatch.setattr(
        type(coder.window), "advance", property(lambda window: window.made.plan.cdf[0])
    )
    anew = coder.encode(bands)
    assert advanced.ideal_bits == pytest.approx(anew.ideal_bits, rel=1e-12)
    assert advanced.ideal_bits != 0


def test_photographs_are_compressed_without_a_warning(tmp_path, capsys):
    rng = np.random.default_rng(1)
    rows, columns = np.indices((60, 70))
    light = 120 + 60 * np.sin(rows / 20) * np.cos(columns / 30) + rng.normal(0, 2, (60, 70))
    Image.fromarray(light[..., None].repeat(3, 2).astype(np.uint8)).save(tmp_path / "a.png")
    made = str(tmp_path / "a.npx")
    assert main(["compress", "photo-small", str(tmp_path / "a.png"), made, "--adapt"]) == 0
    assert capsys.readouterr().err == ""


def test_colors_as_pages_of_a_tiff_are_no_gray_picture(tmp_path):
    model = disturb(models.build("windowed-pixelcnn", shape=(3, 8, 8), levels=256), 0.02)
    npx.save(model, tmp_path / "net")
    pages = [Image.fromarray(np.full((5, 7), color, np.uint8)) for color in (3, 90, 200)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    net, made, back = (str(tmp_path / name) for name in ("net", "a.npx", "b.tif"))
    assert main(["compress", net, str(tmp_path / "a.tif"), made]) == 0
    assert main(["decompress", net, made, back]) == 0
    with Image.open(back) as picture:
        assert np.array_equal(np.unique(np.asarray(picture)), [3, 90, 200])
