"""Online learning: the gradient is torch's, both sides learn alike, and it pays."""

import math

import numpy as np
import pytest
import torch

from nextpixel import models
from nextpixel.codec import learning
from nextpixel.codec.bands import BandCoder
from nextpixel.codec.container import read_archive
from nextpixel.codec.learned_steps import backward, forward, head_gradient, see
from nextpixel.codec.learning import LEARNED, Learner
from nextpixel.codec.reader import Reader
from nextpixel.codec.tensors import compress
from nextpixel.engine.cpu.window import prepare_window
from nextpixel.errors import NextPixelError
from tests.laws.cases import disturb


def a_net(colors=3, levels=17, features=20, components=3, side=3, layers=2):
    options = {"features": features, "components": components, "side": side, "layers": layers}
    model = models.build("windowed-pixelcnn", shape=(colors, 9, 8), levels=levels, **options)
    return disturb(model, 0.15)


def a_picture(colors=3, levels=17, size=(9, 8), seed=0):
    return np.random.default_rng(seed).integers(0, levels, (colors, *size))


def gradients(model, picture, colors):
    """What torch says of all weights, as the learner has them."""
    shown = torch.from_numpy(np.broadcast_to(picture, (model.colors, *picture.shape[1:])).copy())
    log_p = model.predict(shown[None]).log_prob(shown[None])[:, :colors].sum()
    log_p.backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.zeros_like(parameter) if parameter.grad is None
                            else parameter.grad)  # fmt: skip
    return learning.net_of(model.float()), log_p.item()


@pytest.mark.parametrize("colors", [3, 1])
@pytest.mark.parametrize("options", [{}, {"layers": 0}, {"side": 5, "components": 9},
                                     {"colors": 1}, {"levels": 2}])  # fmt: skip
def test_the_gradient_is_that_of_torch(options, colors):
    model = a_net(**options)
    picture = a_picture(min(colors, model.colors), model.levels)
    learner = Learner(model)
    shape, pixels = np.array(picture.shape), np.arange(72)
    net, count = learner.net, (72, len(picture))
    see(net, learner.batch, picture.ravel(), shape, pixels, learner.levels)
    forward(net, learner.batch, 72)
    head_gradient(
        net, learner.batch, learner.levels, learner.room, learner.kept, learner.back, count
    )
    backward(net, learner.batch, learner.back, learner.slopes, learner.turned, 72)
    expected, _ = gradients(model.double(), picture, len(picture))
    expected.last_bias[: expected.sizes[5]] = 0.0  # anchors are left as they are
    for name in LEARNED:
        wanted, found = getattr(expected, name), getattr(learner.slopes, name)
        assert np.allclose(found, wanted, rtol=2e-3, atol=2e-3 * abs(wanted).max(initial=1e-3)), (
            name
        )


def coder_of(model):
    window = prepare_window(model)
    assert window is not None
    return BandCoder(model, window, learns=True)


@pytest.mark.parametrize("shape", [(3, 40, 21), (1, 33, 20), (3, 1, 1), (3, 16, 5)])
def test_what_was_coded_comes_back(shape):
    model = a_net()
    coder, picture = coder_of(model), a_picture(shape[0], 17, shape[1:])
    chunk = coder.encode([picture, picture])
    found, crc = coder.decode(chunk.payload, [shape, shape])
    assert crc == chunk.crc
    assert all(np.array_equal(one, picture) for one in found)
    assert 8 * len(chunk.payload) < 1.01 * chunk.ideal_bits + 16


def test_until_the_first_lesson_it_costs_what_the_model_says():
    model, picture = a_net(), a_picture(size=(16, 30))
    shown = torch.from_numpy(picture)[None]
    with torch.no_grad():
        expected = -model.predict(shown).log_prob(shown).sum().item() / math.log(2)
    assert coder_of(model).encode([picture]).ideal_bits == pytest.approx(expected, rel=1e-5)


def test_it_learns_what_comes_again_and_again(monkeypatch):
    monkeypatch.setattr(learning, "RATE", 1e-2)
    model = a_net(levels=256)
    rows, columns = np.indices((96, 60))
    picture = np.stack([(40 * (columns // 3 % 2) + 10 * color + rows) % 256 for color in range(3)])
    learned = coder_of(model).encode([picture]).ideal_bits
    window = prepare_window(model)
    assert window is not None
    assert learned < 0.9 * BandCoder(model, window).encode([picture]).ideal_bits


def test_a_step_that_the_decoder_leaves_out_is_seen(monkeypatch):
    model, picture = a_net(), a_picture(size=(40, 60))
    chunk = coder_of(model).encode([picture])
    step, taken = Learner._step, []

    def lazy(self, *rest):
        taken.append(1)
        if len(taken) != 2:
            step(self, *rest)

    monkeypatch.setattr(Learner, "_step", lazy)
    try:
        found, crc = coder_of(model).decode(chunk.payload, [picture.shape])
    except NextPixelError:
        return
    assert crc != chunk.crc
    assert not np.array_equal(found[0], picture)


def test_what_cannot_be_is_refused_by_name():
    model, levels = a_net(), torch.from_numpy(a_picture())[None]
    with pytest.raises(TypeError, match="adapt must be true or false, got 'no'"):
        compress(model, levels, adapt="no")
    with pytest.raises(ValueError, match="chunk must be left out with adapt"):
        compress(model, levels, adapt=True, per_chunk=4)
    opened = read_archive(compress(model, levels, adapt=True))
    for said in (2, True, "1", None):
        opened.header.metadata["adapt"] = said
        with pytest.raises(NextPixelError, match="which this version does not know"):
            Reader(opened, model)


@pytest.mark.parametrize("options", [{"colors": "independent"}, {"head": "logistic"},
                                     {"level_features": 2}])  # fmt: skip
def test_nets_that_cannot_learn_are_refused(options):
    model = models.build("windowed-pixelcnn", shape=(3, 6, 6), levels=8, features=4, **options)
    window = prepare_window(model)
    assert window is not None
    with pytest.raises(ValueError, match="adapt must be left out for this windowed-pixelcnn"):
        BandCoder(model, window, learns=True)
