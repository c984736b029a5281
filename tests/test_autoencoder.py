"""The auto-encoder: codes of its own, a decoder that listens, and decodings that vary."""

import pytest
import torch

import nextpixel as npx
from nextpixel.data import Dataset, Split
from tests.laws.cases import disturb

SHAPE = (1, 6, 6)
SIZES = {"features": 6, "layers": 1, "first_side": 5, "head_features": 6, "encoder_features": 4}
PATTERNS = torch.stack(
    [
        torch.zeros(6, 6),
        torch.ones(6, 6),
        torch.arange(6).expand(6, 6) % 2,
        (torch.arange(6)[:, None] < 3).expand(6, 6),
    ]
).to(torch.uint8)[:, None]


def make_model(*, shape=SHAPE, levels=2, **options):
    return npx.build("autoencoder", shape=shape, levels=levels, code=3, **SIZES, **options)


def images(count=5, *, shape=SHAPE, levels=2):
    return torch.randint(0, levels, (count, *shape), generator=torch.Generator().manual_seed(0))


def draw(model, codes, seed):
    rng = torch.Generator().manual_seed(seed)
    return npx.sample(model, len(codes), rng=rng, condition=codes)


@pytest.fixture(scope="module")
def trained():
    """A tiny model that has learnt four patterns, and the patterns."""
    part = Split("patterns/train", PATTERNS.repeat(10, 1, 1, 1), None, 2, "levels", 0)
    config = npx.TrainConfig(
        steps=150, batch_size=16, learning_rate=0.02, validate_every=150, threads=1
    )
    model = make_model()
    npx.fit(model, Dataset("patterns", part, part, part, ()), config)
    return model, part


def test_without_a_condition_the_images_own_codes_are_used():
    model, levels = disturb(make_model()), images()
    codes = model.codes(levels)
    assert codes.shape == (5, 3)
    own = model.log_prob(levels)
    torch.testing.assert_close(own, model.log_prob(levels, codes))
    assert (own != model.log_prob(levels, codes.flip(0))).any()


@pytest.mark.parametrize("shape", [(1, 6, 6), (3, 5, 7), (1, 1, 2)], ids=str)
def test_images_of_any_shape_have_codes(shape):
    model = disturb(make_model(shape=shape, levels=4))
    levels = images(shape=shape, levels=4)
    assert model.codes(levels).isfinite().all()
    assert model.log_prob(levels).isfinite().all()


def test_the_decoder_is_exact_for_every_code():
    model = disturb(make_model(shape=(1, 2, 2)).double())
    every = torch.cartesian_prod(*[torch.arange(2)] * 4).view(16, 1, 2, 2)
    code = model.codes(every[5:6]).expand(16, -1)
    assert model.log_prob(every, code).logsumexp(0).item() == pytest.approx(0, abs=1e-9)


def test_the_gradient_reaches_the_encoder():
    model, levels = disturb(make_model()), images()
    model.log_prob(levels).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_training_moves_the_encoder():
    part = Split("noise/train", images(20).to(torch.uint8), None, 2, "levels", 0)
    model = make_model()
    before = [parameter.clone() for parameter in model.encoder.parameters()]
    config = npx.TrainConfig(steps=3, batch_size=10, validate_every=3, threads=1)
    npx.fit(model, Dataset("noise", part, part, part, ()), config)
    after = list(model.encoder.parameters())
    assert all(not torch.equal(old, new) for old, new in zip(before, after, strict=True))


def test_it_learns_to_listen(trained):
    found = npx.health(*trained)
    assert found.right < 1
    assert found.shuffled > found.right + 5
    assert found.listens


def test_a_likelihood_says_that_it_is_conditioned_on_a_code_of_the_image(trained):
    text = "a code of 3 numbers made from the image itself, which is not counted"
    found = npx.evaluate(*trained)
    assert found.conditioned_on == text
    assert str(found).endswith(f"given {text})")


def test_codes_decode_to_their_pattern(trained):
    model, _ = trained
    drawn = draw(model, model.codes(PATTERNS).detach(), 0)
    assert (drawn == PATTERNS).double().mean() > 0.95


def test_one_code_makes_two_images():
    model = disturb(make_model())
    codes = model.codes(images(1)).detach().expand(4, -1)
    once, again, other = draw(model, codes, 0), draw(model, codes, 0), draw(model, codes, 1)
    assert torch.equal(once, again)
    assert (once != other).flatten(1).any(1).all()
    assert (once[0] != once[1]).any()


def test_it_survives_a_file(tmp_path):
    model, levels = disturb(make_model()), images()
    npx.save(model, tmp_path / "model")
    assert torch.equal(npx.load(tmp_path / "model").log_prob(levels), model.log_prob(levels))


def test_sampling_needs_codes():
    text = r"condition must be given: codes \(B, 3\), as codes\(levels\) makes them of images"
    with pytest.raises(ValueError, match=text):
        npx.sample(make_model(), 2, rng=torch.Generator())


@pytest.mark.parametrize(
    ("codes", "error", "text"),
    [
        (torch.zeros(2, 4), ValueError, r"condition must have shape \(B, 3\), got \(2, 4\)"),
        (torch.zeros(1, 3), ValueError, "condition must have one entry an image, 2, got 1"),
        (torch.tensor([0, 1]), ValueError, r"vectors, floats of shape \(B, 3\), got shape \(2,\)"),
        (torch.zeros(2, 3).long(), TypeError, "condition must be floats, got torch.int64"),
        (torch.full((2, 3), torch.nan), ValueError, "condition must be finite"),
    ],
    ids=["width", "count", "labels", "integers", "nan"],
)
def test_codes_that_do_not_fit_are_refused(codes, error, text):
    with pytest.raises(error, match=text):
        npx.sample(make_model(), 2, rng=torch.Generator(), condition=codes)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"condition": npx.ClassCondition(3)}, "condition must be left out: the decoder is given"),
        ({"code": 0}, "code must be at least 1, got 0"),
        ({"encoder_features": 0}, "encoder_features must be at least 1, got 0"),
        ({"features": 0}, "features must be at least 1, got 0"),
    ],
    ids=["condition", "code", "encoder", "decoder"],
)
def test_an_auto_encoder_that_is_invalid_is_refused(options, text):
    with pytest.raises(ValueError, match=text):
        npx.build("autoencoder", shape=SHAPE, levels=2, **options)


def test_codes_are_made_of_images_of_the_model_only():
    with pytest.raises(TypeError, match="levels must be a tensor of integers"):
        make_model().codes(torch.zeros(1, *SHAPE))
    with pytest.raises(ValueError, match=r"levels must have shape \(B, 1, 6, 6\)"):
        make_model().codes(images(shape=(1, 5, 5)))


def test_a_completion_knows_nothing_of_what_was_erased(trained):
    """Two images that agree where they are known are completed alike."""
    model, _ = trained
    known = (torch.arange(6) < 2).view(6, 1).expand(SHAPE)
    first = images(20)
    second = torch.where(known, first, 1 - first)
    made = [
        npx.complete(model, levels, known, rng=torch.Generator().manual_seed(0))
        for levels in (first, second)
    ]
    assert torch.equal(*made)
    assert torch.equal(made[0][:, :, :2].long(), first[:, :, :2])


def test_a_completion_takes_a_code_as_its_condition(trained):
    model, part = trained
    nothing = torch.zeros(SHAPE, dtype=torch.bool)
    codes = model.codes(part.levels[:4].long()).detach().repeat(10, 1)
    rng = torch.Generator().manual_seed(0)
    made = npx.complete(model, torch.zeros(40, *SHAPE).long(), nothing, condition=codes, rng=rng)
    assert (made == part.levels[:4].repeat(10, 1, 1, 1)).float().mean() > 0.9
