"""The codec of many levels: what it costs, and images back under extreme parameters."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from nextpixel import build
from nextpixel.codec.chunks import ChunkCoder
from nextpixel.codec.tensors import compress, decompress
from nextpixel.errors import NextPixelError
from nextpixel.models import PixelModel
from tests.laws.cases import disturb


def a_mixture(levels: int, colors: int = 1, mode: str = "independent", **options) -> PixelModel:
    options = {"features": 6, "layers": 1, "side": 3, "pointwise": 0, **options}
    return build("pixelcnn", seed=0, shape=(colors, 8, 9), levels=levels, head="logistic",
                 colors=mode, components=3, **options)  # fmt: skip


def random_images(model: PixelModel, count: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(1)
    return torch.randint(model.levels, (count, *model.shape), generator=rng)


@pytest.mark.parametrize(("levels", "colors", "mode"), [
    (1024, 1, "independent"), (4096, 3, "coupled"), (65536, 1, "independent"), (65536, 5, "coupled")
])  # fmt: skip
def test_bytes_are_within_a_thousandth_of_the_ideal_and_a_kilobyte(levels, colors, mode):
    model = disturb(a_mixture(levels, colors, mode))
    images = model.sample(200, rng=torch.Generator().manual_seed(0))
    blob = compress(model, images)
    assert torch.equal(decompress(model, blob), images)
    with torch.inference_mode():
        ideal = -float(model.double().log_prob(images).sum()) / math.log(2) / 8
    assert ideal <= len(blob) < 1.001 * ideal + 1024


@pytest.mark.parametrize("mode", ["independent", "coupled"])
@pytest.mark.parametrize("said", [-1e6, -80.0, -30.0, 30.0, 1e6])
@pytest.mark.parametrize("which", ["means", "scales", "weights"])
def test_images_come_back_whatever_the_network_says(which, said, mode):
    model = a_mixture(65536, 3, mode)
    block = {"weights": 0, "means": 1, "scales": 2}[which]
    with torch.no_grad():
        model.last.bias[3 * block] = said
    images = random_images(model, 2)
    assert torch.equal(decompress(model, compress(model, images)).long(), images)


def test_a_prediction_that_is_no_number_is_refused():
    model = a_mixture(1024)
    with torch.no_grad():
        model.last.bias[3] = 3e38  # a mean that is finite, and whose levels are not
        model.last.weight.fill_(3e38)
    with pytest.raises(NextPixelError, match="its outputs overflow"):
        compress(model, random_images(model, 1))


def test_heads_of_many_levels_make_no_table():
    assert ChunkCoder(a_mixture(65536), (8, 9)).listed == 0
    codes = build("pixelcnn", shape=(1, 4, 4), levels=4096, features=4, layers=1,
                  head="categorical", pointwise=0)  # fmt: skip
    assert ChunkCoder(codes, (4, 4)).listed == 4096
    images = torch.randint(4096, (3, 1, 4, 4))
    assert torch.equal(decompress(codes, compress(codes, images)).long(), images)


def test_chunks_of_several_threads_share_no_scratch():
    """Many small chunks of one coder by eight threads: each is what one thread makes of it."""
    model = disturb(build("pixelcnn", seed=0, shape=(1, 8, 9), levels=256, features=4, layers=1,
                          side=3, pointwise=0))  # fmt: skip
    coder, images = ChunkCoder(model, (8, 9)), random_images(model, 64).numpy()
    nothing = np.zeros((1, 1, 8, 9), bool)

    def code(number: int) -> bytes:
        return coder.encode(images[number : number + 1], nothing, None).payload

    alone = [code(number) for number in range(64)]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            assert list(pool.map(code, range(64))) == alone
