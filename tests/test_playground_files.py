"""Uploads are measured before they are decoded; archives give back every pixel; exports."""

import base64
import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

import nextpixel as npx
from tests import playgrounds
from tests.playgrounds import array, image, refused


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return playgrounds.make_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def client(folders):
    with playgrounds.playground(folders.values(), upload_pixels=10_000) as client:
        yield client


def picture(pixels, form="png", **options):
    out = BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(out, form, **options)
    return out.getvalue()


def npy(array, *, allow_pickle=False):
    out = BytesIO()
    np.save(out, array, allow_pickle=allow_pickle)
    return out.getvalue()


def upload(client, content, model="plain", name="x"):
    return client.post("/api/upload", data={"model": model}, files={"file": (name, content)})


def png_chunk(kind, content):
    whole = kind + content
    return struct.pack(">I", len(content)) + whole + struct.pack(">I", zlib.crc32(whole))


def claiming(width, height):
    """A PNG of a few bytes that says it has so many pixels."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    body = png_chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + header + body + png_chunk(b"IEND", b"")


NOISE = np.random.default_rng(0).integers(0, 256, (12, 10, 3))


# Uploads


@pytest.mark.parametrize("form", ["png", "jpeg", "gif", "bmp", "webp"])
def test_a_picture_of_any_form_becomes_an_image_of_the_model(client, form):
    for model in ("plain", "color"):
        found = upload(client, picture(NOISE, form), model)
        assert found.status_code == 200, found.text
        kind = playgrounds.KINDS[model]
        made = array(found.json()["image"])
        assert made.shape == kind["shape"]
        assert found.json()["image"]["levels"] == kind["levels"]
        assert made.max() < kind["levels"]
        assert form.upper() in found.json()["note"]


def test_what_was_done_is_noted(client):
    note = upload(client, picture(NOISE)).json()["note"]
    assert "10 x 12 pixels; resized to 5 x 6; turned to gray; rounded to 2 levels" in note
    exact = upload(client, picture(np.full((6, 5), 255))).json()
    assert "kept exactly in 2 levels" in exact["note"]
    assert array(exact["image"]).tolist() == np.ones((1, 6, 5)).tolist()
    square = upload(client, picture(NOISE[:8, :8])).json()["note"]
    assert "cut to its middle and resized" in square


def test_pixels_of_the_models_own_size_are_kept(client):
    pixels = np.arange(30).reshape(6, 5)
    assert (
        array(upload(client, picture(pixels), "deep").json()["image"])[0].tolist()
        == pixels.tolist()
    )
    colors = np.arange(48).reshape(4, 4, 3)
    made = array(upload(client, picture(colors * 5), "color").json()["image"])
    expected = npx.images.quantize(torch.from_numpy(colors * 5), 4).permute(2, 0, 1)
    assert made.tolist() == expected.tolist()


def test_transparent_parts_show_white_and_the_first_frame_counts(client):
    clear = np.zeros((6, 5, 4))
    assert array(upload(client, picture(clear), "deep").json()["image"]).min() == 255
    out = BytesIO()
    frames = [Image.fromarray(np.full((6, 5), value, np.uint8)) for value in (255, 0)]
    frames[0].save(out, "gif", save_all=True, append_images=frames[1:])
    assert array(upload(client, out.getvalue(), "deep").json()["image"]).min() == 255


def test_an_array_of_one_image_is_levels_or_pixels(client):
    levels = np.eye(6, 5, dtype=np.int64)
    found = upload(client, npy(levels[None])).json()
    assert array(found["image"])[0].tolist() == levels.tolist()
    assert "taken as levels" in found["note"]
    pixels = upload(client, npy(levels * 255)).json()
    assert array(pixels["image"])[0].tolist() == levels.tolist()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["PNG, JPEG"]),
        (b"GIF89a but no more", ["PNG, JPEG"]),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", ["PNG, JPEG"]),
        (picture(NOISE)[:-40], ["damaged"]),
        (claiming(200, 100), ["at most 10,000 pixels", "got 200 x 100"]),
        (claiming(2**31 - 1, 2**31 - 1), ["at most 10,000 pixels"]),
        (picture(NOISE, "tiff"), ["PNG, JPEG"]),
        (npy(np.zeros((1, 6, 5), np.float32)), ["integers"]),
        (npy(np.zeros((1, 6, 6), np.uint8)), ["shape [1, 6, 5]"]),
        (npy(np.full((1, 6, 5), 256)), ["0..255"]),
        (npy(np.full((1, 6, 5), -1)), ["0..255"]),
        (npy(np.zeros((0, 6, 5), np.uint8)), ["integers"]),
        (npy(np.array([{}], object), allow_pickle=True), ["holds objects"]),
        (npy(np.zeros(30, np.uint8))[:-1], ["cut off"]),
        (npy(np.zeros(30, np.uint8)).replace(b"(30,)", b"(9**9,)"), ["damaged"]),
        (npy(np.zeros(30000, np.uint8)), ["at most 10,000"]),
        (b"\x93NUMPY\x01\x00\xff\xff", ["damaged"]),
    ],
    ids=range(17),
)
def test_what_is_no_picture_is_refused(client, content, words):
    refused(upload(client, content), 422, "file", *words)


def test_a_file_is_recognized_by_its_content_not_by_its_name(client):
    assert upload(client, picture(NOISE), name="x.exe").status_code == 200
    refused(upload(client, b"MZ", name="x.png"), 422, "file")
    assert upload(client, picture(NOISE), name="../../etc/passwd").status_code == 200


def test_an_upload_for_no_model_is_refused(client):
    refused(upload(client, picture(NOISE), "none"), 404, "model", "known: ")
    response = client.post("/api/upload", data={"model": "plain"})
    refused(response, 422, "file", "must be given")


# Archives


def compress(client, contents, **fields):
    files = [("files", (f"{number}.bin", content)) for number, content in enumerate(contents)]
    return client.post("/api/compress", data=fields, files=files)


def decompress(client, archive, model):
    return client.post("/api/decompress", data={"model": model}, files={"archive": archive})


def drawn(name, count):
    kind = playgrounds.KINDS[name]
    rng = np.random.default_rng(1)
    return rng.integers(0, kind["levels"], (count, *kind["shape"]))


@pytest.mark.parametrize("name", ["plain", "deep", "color", "labelled", "forgetful"])
def test_an_archive_gives_back_every_pixel(client, folders, name):
    levels = drawn(name, 7)
    label = {"label": 1} if name == "labelled" else {}
    made = compress(client, [npy(levels)], model=name, **label).json()
    archive = base64.b64decode(made["archive"])
    assert (made["count"], made["bytes"]) == (7, len(archive))
    assert array(decompress(client, archive, name).json()["images"]).tolist() == levels.tolist()
    assert npx.decompress(npx.load(folders[name]), archive).tolist() == levels.tolist()
    assert made["ideal_bits"] <= 8 * made["bytes"]
    assert made["bits_per_dim"] == pytest.approx(8 * made["bytes"] / levels.size)
    assert made["png_bytes"] > 7 * 57


def test_each_image_gets_the_class_that_makes_it_cheapest(client, folders):
    levels = torch.from_numpy(drawn("labelled", 9))
    ideal = [
        compress(client, [npy(levels.numpy())], model="labelled", **label).json()["ideal_bits"]
        for label in ({}, {"label": 0}, {"label": 1}, {"label": 2})
    ]
    model = npx.load(folders["labelled"])
    nats = [-model.log_prob(levels, torch.full((9,), label)).detach() for label in range(3)]
    least = torch.stack(nats).min(0).values.sum().item() / np.log(2)
    assert ideal[0] == pytest.approx(least + 9 * np.log2(3), rel=1e-3)
    assert ideal[0] < min(ideal[1:])


def test_pictures_are_compressed_to_the_pixel(client):
    pixels = [np.where(levels[0] == 1, 255, 0) for levels in drawn("plain", 3)]
    made = compress(client, [picture(each) for each in pixels], model="plain").json()
    back = decompress(client, base64.b64decode(made["archive"]), "plain").json()["images"]
    assert (array(back)[:, 0] * 255).tolist() == np.stack(pixels).tolist()


def test_images_larger_than_the_models_are_compressed_too(client):
    levels = np.random.default_rng(2).integers(0, 2, (2, 1, 9, 14))
    made = compress(client, [npy(levels)], model="plain").json()
    back = decompress(client, base64.b64decode(made["archive"]), "plain").json()["images"]
    assert array(back).tolist() == levels.tolist()


@pytest.mark.parametrize(
    ("contents", "fields", "field", "words"),
    [
        ([picture(np.full((6, 5), 100))], {}, "files", ["none of them is pixel 100"]),
        ([picture(NOISE)], {}, "files", ["1 colors", "got mode RGB"]),
        ([picture(NOISE, "jpeg")], {}, "files", ["must be a PNG", "got JPEG"]),
        ([picture(np.zeros((6, 5))), picture(np.zeros((6, 6)))], {}, "files", ["one size"]),
        ([npy(np.zeros((1, 6, 5), np.uint8))] * 2, {}, "files", ["one .npy alone"]),
        ([npy(np.zeros((3, 6, 5, 3), np.uint8))], {}, "files", ["1 colors", "got 3"]),
        ([npy(np.zeros(7, np.uint8))], {}, "files", ["shape (H, W)"]),
        ([npy(np.zeros((1001, 2, 2), np.uint8))], {}, "files", ["at most 1000 images"]),
        ([b""], {}, "files", ["got none"]),
        ([npy(np.zeros((1, 6, 6), np.uint8))], {"model": "labelled"}, "label", ["must be given"]),
        (
            [npy(np.zeros((1, 8, 8), np.uint8))],
            {"model": "forgetful", "label": -1},
            "label",
            ["-1"],
        ),
        (
            [npy(np.zeros((1, 6, 5), np.uint8))],
            {"model": "labelled", "label": 3},
            "label",
            ["0..2"],
        ),
        ([npy(np.zeros((1, 6, 5), np.uint8))], {"label": 0}, "label", ["left out"]),
        (
            [npy(np.zeros((1, 8, 8), np.uint8))],
            {"model": "autoencoder"},
            "model",
            ["cannot compress"],
        ),
    ],
    ids=range(14),
)
def test_what_cannot_be_compressed_is_refused(client, contents, fields, field, words):
    refused(compress(client, contents, **{"model": "plain", **fields}), 422, field, *words)


def test_more_than_the_limits_allow_is_not_compressed(folders):
    one = picture(np.zeros((6, 5)))
    with playgrounds.playground([folders["plain"]], compress_images=2, values=60) as client:
        assert compress(client, [one] * 2, model="plain").status_code == 200
        refused(compress(client, [one] * 3, model="plain"), 422, "files", "at most 2 images")
        large = [picture(np.zeros((6, 6)))] * 2
        refused(compress(client, large, model="plain"), 422, "files", "at most 60 sub-pixels")
        array = npy(np.zeros((2, 6, 6), np.uint8))
        refused(compress(client, [array], model="plain"), 422, "file", "at most 60 numbers")


def test_an_archive_of_several_sizes_cannot_be_shown(client, tmp_path):
    from nextpixel.cli.app import main

    (tmp_path / "in").mkdir()
    for name, size in (("a.png", (6, 5)), ("b.png", (7, 5))):
        (tmp_path / "in" / name).write_bytes(picture(np.zeros(size)))
    models = playgrounds.make_models(tmp_path)
    words = [models["plain"], str(tmp_path / "in"), str(tmp_path / "a.npx")]
    assert main(["compress", *words]) == 0
    archive = (tmp_path / "a.npx").read_bytes()
    refused(decompress(client, archive, "plain"), 422, "archive", "one size to be shown here")


def test_a_damaged_archive_is_refused(client):
    made = compress(client, [npy(drawn("plain", 5))], model="plain").json()
    archive = base64.b64decode(made["archive"])
    for at in range(0, len(archive), 5):
        broken = archive[:at] + bytes([archive[at] ^ 16]) + archive[at + 1 :]
        refused(decompress(client, broken, "plain"), 422, None)
    for wrong in (b"", b"no archive", archive[:-1], archive + b"\0"):
        refused(decompress(client, wrong, "plain"), 422, None)
    refused(decompress(client, archive, "deep"), 422, None, "made with model")


def test_an_archive_that_holds_too_much_is_refused_before_it_is_read(folders):
    with playgrounds.playground([folders["plain"]], values=100) as client:
        whole = npx.compress(npx.load(folders["plain"]), torch.zeros(4, 1, 6, 5, dtype=torch.int64))
        refused(decompress(client, whole, "plain"), 422, "archive", "at most 100 sub-pixels")


# Exports


def test_exports_are_files_of_the_images(client):
    levels = drawn("color", 5)
    asked = {"images": image(levels, 4)}
    made = client.post("/api/export", json={**asked, "format": "npy"})
    assert np.load(BytesIO(made.content), allow_pickle=False).tolist() == levels.tolist()
    assert made.headers["content-disposition"] == 'attachment; filename="nextpixel.npy"'
    drawing = Image.open(
        BytesIO(client.post("/api/export", json={**asked, "format": "png"}).content)
    )
    expected = npx.gallery.grid(torch.from_numpy(levels), 4)
    assert np.array_equal(np.asarray(drawing), np.asarray(expected))
    scan = Image.open(BytesIO(client.post("/api/export", json={**asked, "format": "gif"}).content))
    assert (scan.format, scan.n_frames) == ("GIF", 4)


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"format": "exe"}, "format", ["'png', 'npy' or 'gif'"]),
        ({"images": image(np.zeros((1, 2, 3, 3)), 2)}, "images.shape", ["1 or 3 colors"]),
        ({"images": image(np.zeros((1, 1, 3, 3)), 1)}, "images.levels", ["2"]),
        ({"images": image(np.full((1, 1, 3, 3), 2), 2)}, "images.data", ["0..1"]),
        (
            {"images": {"shape": [1000, 3, 1000, 1000], "levels": 2, "data": ""}},
            "images",
            ["sub-pixels in all"],
        ),
        (
            {"images": image(np.zeros((1, 1, 1000, 1000)), 2), "format": "gif"},
            "images",
            ["fewer or smaller"],
        ),
    ],
    ids=range(6),
)
def test_a_wrong_export_is_refused(client, change, field, words):
    whole = {"images": image(np.zeros((1, 1, 3, 3)), 2), "format": "png"}
    refused(client.post("/api/export", json={**whole, **change}), 422, field, *words)
