"""Pictures show the levels they were given, and nothing else."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from nextpixel import gallery
from nextpixel.errors import NextPixelError
from nextpixel.gallery import plots, tiles
from nextpixel.images import to_pixels
from nextpixel.order import Step


def pixels(picture):
    return np.asarray(picture)


def levels(count, colors=1, side=8, level_count=4):
    rng = torch.Generator().manual_seed(0)
    return torch.randint(0, level_count, (count, colors, side, side), generator=rng).byte()


@pytest.mark.parametrize("colors", [1, 3])
@pytest.mark.parametrize("scale", [1, 3])
def test_a_grid_shows_every_pixel_in_its_place(colors, scale):
    images = levels(5, colors)
    shown = pixels(gallery.grid(images, 4, columns=3, scale=scale))
    step = 8 * scale + 2
    assert shown.shape == (2 * step + 2, 3 * step + 2, 3)
    fifth = shown[step + 2 : 2 * step, step + 2 : 2 * step][::scale, ::scale]
    expected = to_pixels(images[4], 4).expand(3, -1, -1).permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(fifth, expected)


def test_a_grid_is_about_square_and_small_images_are_enlarged():
    assert gallery.grid(levels(10), 4).size == (4 * 66 + 2, 3 * 66 + 2)


def test_empty_cells_of_a_grid_are_separator():
    shown = pixels(gallery.grid(levels(5), 4, columns=3, scale=1))
    assert (shown[12:, 22:] == tiles.SEPARATOR).all()


@pytest.mark.parametrize(
    ("images", "columns", "text"),
    [
        (torch.zeros(0, 1, 8, 8), 1, "at least one image"),
        (torch.zeros(1, 8, 8), 1, r"got \(1, 8, 8\)"),
        (torch.zeros(1, 1, 8, 8), -1, "columns must be at least 1, got -1"),
    ],
)
def test_a_grid_of_what_is_no_image_is_refused(images, columns, text):
    with pytest.raises(ValueError, match=text):
        gallery.grid(images.byte(), 2, columns=columns)


def test_a_sheet_tints_what_is_unknown_and_shows_each_completion():
    images, known = levels(2), torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    known[..., :4, :] = True
    made = torch.stack([images, 3 - images, images], 1)
    shown = pixels(gallery.sheet(images, known, made, 4))
    scale, top = 9, 18 + 2
    cells = [shown[top : top + 72, 2 + 74 * n : 74 * (n + 1)][::scale, ::scale] for n in range(5)]
    np.testing.assert_array_equal(cells[0][:4], cells[1][:4])
    assert (cells[1][4:] == tiles.UNKNOWN).all()
    np.testing.assert_array_equal(cells[2], cells[0])
    np.testing.assert_array_equal(cells[3][..., 0], to_pixels(3 - images[0, 0], 4).numpy())
    assert (shown[:18] != 255).any()


def test_a_sheet_of_the_wrong_shape_is_refused():
    with pytest.raises(ValueError, match=r"completions must be \(N, S, C, H, W\) for originals"):
        gallery.sheet(levels(2), torch.ones(1, dtype=torch.bool), levels(2), 4)


def test_an_animation_holds_its_frames_in_order_with_captions(tmp_path):
    frames = [Image.new("RGB", (60, 40), color) for color in ("black", "red", "white")]
    gallery.animation(frames, tmp_path / "a.gif", captions=["one", "two", "three"], hold=900)
    with Image.open(tmp_path / "a.gif") as file:
        found = [frame.convert("RGB") for frame in ImageSequence.Iterator(file)]
        assert file.info["duration"] == 900
        assert file.info["loop"] == 0
    assert [frame.getpixel((0, 0)) for frame in found] == [
        (0, 0, 0),
        (255, 0, 0),
        (255, 255, 255),
    ]
    assert found[0].size == (60, 58)
    assert np.asarray(found[0])[40:].min() < 100


@pytest.mark.parametrize(
    ("count", "captions", "text"),
    [(0, (), "at least one picture"), (1, ("a", "b"), "captions must be 1, one a frame, got 2")],
)
def test_an_animation_of_nothing_is_refused(tmp_path, count, captions, text):
    with pytest.raises(ValueError, match=text):
        gallery.animation([Image.new("RGB", (4, 4))] * count, tmp_path / "a.gif", captions=captions)


def test_a_picture_is_written_with_its_folder(tmp_path):
    picture = gallery.grid(levels(1), 4)
    gallery.save(picture, tmp_path / "new" / "a.png")
    with Image.open(tmp_path / "new" / "a.png") as again:
        np.testing.assert_array_equal(pixels(again), pixels(picture))


def test_a_picture_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NextPixelError, match=r"cannot write .*a\.png"):
        gallery.save(gallery.grid(levels(1), 4), tmp_path / "file" / "a.png")


METRICS = """step,seconds,train_nats,validation_nats,test_nats
100,1,400.0,,
200,2,120.0,130.0,131.0
1000,9,90.0,95.0,96.0
"""


@pytest.fixture
def metrics(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text(METRICS)
    return path


def test_curves_are_drawn_from_the_table_of_a_run(metrics):
    assert plots._read_series(metrics) == {
        "train_nats": [(100, 400), (200, 120), (1000, 90)],
        "validation_nats": [(200, 130), (1000, 95)],
        "test_nats": [(200, 131), (1000, 96)],
    }
    assert gallery.curves(metrics).size == (700, 420)


def test_the_first_fall_of_the_loss_does_not_flatten_the_curves():
    low, high = plots._limits([[(0, 500.0), (100, 90.0), (1000, 80.0)]])
    assert (low, high) == pytest.approx((79.2, 90.8))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("step,train_nats\n", r"metrics\.csv holds no losses yet"),
        ("step,train_nats\n1,x\n", r"metrics\.csv is no table of training metrics"),
        ("train_nats\n1\n", r"metrics\.csv is no table of training metrics"),
        (None, r"metrics\.csv cannot be read: No such file"),
    ],
)
def test_a_foreign_table_is_named(tmp_path, content, text):
    path = tmp_path / "metrics.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(NextPixelError, match=text):
        gallery.curves(path)


FIELD = torch.tensor([[0.0, 1, 0], [2, 0, 0], [0, 0, 0]])[None]


def test_every_level_is_past_future_or_the_step():
    blind = torch.tensor([[False, False, True], [False] * 3, [False] * 3])[None]
    kinds = plots.field_kinds(FIELD, Step(1, 1, 0), blind=blind)
    assert kinds[0].tolist() == [
        [plots.BEYOND, plots.SEEN, plots.BLIND],
        [plots.SEEN, plots.STEP, plots.FUTURE],
        [plots.FUTURE] * 3,
    ]


@pytest.mark.parametrize("where", [(0, 1, 1), (0, 2, 2)])
def test_a_leak_is_marked(where):
    field = FIELD.clone()
    field[where] = 1e-30
    assert plots.field_kinds(field, Step(1, 1, 0))[where] == plots.LEAK


@pytest.mark.parametrize("colors", [1, 3])
def test_a_receptive_field_has_a_panel_for_each_color(colors):
    field = FIELD.expand(colors, -1, -1)
    picture = gallery.receptive_field(field, Step(1, 1, colors - 1))
    assert picture.size == (420 * colors, 500)


def test_importing_the_gallery_does_not_import_matplotlib():
    code = "import sys, nextpixel.gallery; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
