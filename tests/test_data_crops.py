"""Random parts of images in training, fixed tiles in testing; images mirrored and turned."""

import numpy as np
import pytest
import torch
from PIL import Image

import nextpixel as npx
from nextpixel.data import load_data
from nextpixel.data.crops import flipped
from nextpixel.errors import NextPixelError


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def folder(tmp_path):
    """Pictures of three sizes, each pixel of which tells its place."""
    for number in range(20):
        height, width = [(8, 9), (13, 8), (10, 17)][number % 3]
        rows, columns = np.mgrid[:height, :width]
        Image.fromarray((10 * rows + columns).astype(np.uint8)).save(tmp_path / f"{number:02}.png")
    return tmp_path


@pytest.mark.filterwarnings("ignore:.*in no whole tile")
def test_an_epoch_may_draw_several_parts_of_each_image(folder):
    data = load_data(folder, levels=256, crop=8, crops=5)
    once = load_data(folder, levels=256, crop=8)
    assert len(data.train) == 5 * len(once.train)
    assert torch.equal(data.test.levels, once.test.levels)
    first = torch.arange(5) * len(once.train)  # the same image, five times
    parts = data.train.draw(first.repeat(8), rng())
    assert len({part.numpy().tobytes() for part in parts}) > 1
    with pytest.raises(ValueError, match="crops must be left out without crop, got 3"):
        load_data(folder, levels=256, crops=3)


@pytest.mark.filterwarnings("ignore:.*in no whole tile")
def test_training_draws_parts_of_images_of_any_size(folder):
    data = load_data(folder, levels=256, crop=8)
    assert data.shape == (1, 8, 8)
    everything = torch.arange(len(data.train))
    parts = data.train.draw(everything, rng())
    corner = parts[:, :, :1, :1]
    rows, columns = torch.arange(8)[:, None], torch.arange(8)
    assert torch.equal(parts - corner, (10 * rows + columns).expand_as(parts))
    assert len(corner.unique()) > 5
    assert torch.equal(parts, data.train.draw(everything, rng()))
    assert not torch.equal(parts, data.train.draw(everything, rng(1)))


def test_testing_has_whole_tiles_and_says_what_is_left_out(folder):
    with pytest.warns(UserWarning, match=r"test: \d+\.\d% of the pixels lie in no whole tile of 8"):
        data = load_data(folder, levels=256, crop=8)
    corners = data.test.levels[:, 0, 0, 0]
    assert set(corners.tolist()) <= {0, 8}
    assert torch.equal(data.test.levels, load_data(folder, levels=256, crop=8).test.levels)


@pytest.mark.filterwarnings("ignore:.*in no whole tile")
def test_every_tile_counts_once():
    levels = torch.arange(16 * 24).view(1, 1, 16, 24).expand(10, -1, -1, -1)
    np_levels = levels.clone()
    data = npx.from_tensors(np_levels, level_count=384)
    from nextpixel.data.crops import cut
    from nextpixel.data.splits import Images, Splits

    parts = [Images(np_levels[:2], torch.tensor([0, 1])) for _ in range(3)]
    found = cut(Splits(*parts, ("a", "b"), 384), 8, "all")
    assert len(found.test) == 12
    assert found.test.pixels.sum() == np_levels[:2].sum()
    assert found.test.labels.tolist() == [0] * 6 + [1] * 6
    assert data.shape == (1, 16, 24)


def test_an_image_smaller_than_a_part_is_refused(folder):
    with pytest.raises(
        NextPixelError, match=r"image \d+ .* crop 12; --data.crop 8 takes all images"
    ):
        load_data(folder, levels=256, crop=12)


@pytest.mark.filterwarnings("ignore:.*in no whole tile")
def test_sub_pixels_are_those_of_the_images_however_many_parts_are_drawn(folder):
    data = load_data(folder, levels=256, crop=8, crops=5)
    whole = sum(image[0].numel() for image in data.train.pixels.images[:16])
    assert data.train.sub_pixels == whole > 16 * 8 * 8
    assert load_data("digits", limit=50).train.sub_pixels == 50 * 64


def test_without_crop_sizes_must_agree(folder):
    with pytest.raises(NextPixelError, match="or `crop` to take parts"):
        load_data(folder)


@pytest.mark.parametrize(("how", "count"), [("horizontal", 2), ("dihedral", 8)])
def test_flips_are_all_that_they_may_be_and_nothing_else(how, count):
    image = torch.arange(9).view(1, 1, 3, 3)
    made = flipped(image.expand(400, -1, -1, -1), how, rng())
    ways = {tuple(one.flatten().tolist()) for one in made}
    assert len(ways) == count
    assert tuple(range(9)) in ways
    if how == "horizontal":
        assert (2, 1, 0, 5, 4, 3, 8, 7, 6) in ways


def test_only_training_images_are_flipped():
    data = load_data("digits", flip="horizontal")
    every = torch.arange(50)
    assert torch.equal(data.test.draw(every, rng()), data.test.levels[:50].long())
    drawn = data.train.draw(every, rng())
    plain = data.train.levels[:50].long()
    is_same = (drawn == plain).flatten(1).all(1)
    assert torch.equal(drawn[~is_same], plain[~is_same].flip(3))
    assert 10 < is_same.sum() < 40


def test_what_is_not_square_cannot_be_turned():
    with pytest.raises(ValueError, match="flip must be horizontal for images of 24 x 40"):
        load_data("photons", flip="dihedral", limit=5)


def test_an_unknown_flip_is_refused():
    with pytest.raises(
        ValueError, match="flip must be one of horizontal, dihedral, got 'vertical'"
    ):
        load_data("digits", flip="vertical")


@pytest.mark.filterwarnings("ignore:.*in no whole tile")
def test_training_on_parts_goes_on_to_the_bit(folder, tmp_path):
    data = load_data(folder, levels=256, crop=8, flip="dihedral")

    def run(out, resume, steps):
        model = npx.build("pixelcnn", shape=(1, 8, 8), levels=256, features=4, layers=1, seed=0)
        config = npx.TrainConfig(steps=steps, batch_size=4, validate_every=6, threads=1)
        npx.fit(model, data, config, out=out, resume=resume)
        return model.state_dict()

    whole = run(tmp_path / "whole", False, 6)
    stopped = []

    def stop(progress):
        if progress.step == 3 and not stopped:
            stopped.append(True)
            raise KeyboardInterrupt

    model = npx.build("pixelcnn", shape=(1, 8, 8), levels=256, features=4, layers=1, seed=0)
    config = npx.TrainConfig(steps=6, batch_size=4, validate_every=6, save_every=3, threads=1)
    with pytest.raises(KeyboardInterrupt):
        npx.fit(model, data, config, out=tmp_path / "parts", on_progress=stop)
    parts = tmp_path / "parts"
    model = npx.build("pixelcnn", shape=(1, 8, 8), levels=256, features=4, layers=1, seed=0)
    npx.fit(model, data, config, out=parts, resume=True)
    assert all(torch.equal(value, whole[name]) for name, value in model.state_dict().items())
