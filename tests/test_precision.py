"""A model of fewer bits than float32 is refused by what would round in silence."""

import pytest
import torch

import nextpixel as npx

LEVELS = torch.zeros(2, 1, 6, 6, dtype=torch.int64)
KNOWN = torch.zeros(6, 6, dtype=torch.bool)


def make_data():
    return npx.from_tensors(LEVELS.repeat(20, 1, 1, 1), level_count=2)


USES = {
    "log_prob": lambda model: model.log_prob(LEVELS),
    "evaluate": lambda model: npx.evaluate(model, LEVELS),
    "surprise": lambda model: npx.surprise_map(model, LEVELS),
    "sample": lambda model: npx.sample(model, 1),
    "recompute": lambda model: npx.sample(model, 1, method="recompute"),
    "complete": lambda model: npx.complete(model, LEVELS, KNOWN),
    "particles": lambda model: npx.complete(model, LEVELS, KNOWN, method="particles"),
    "region": lambda model: npx.sampling.log_prob_of(model, LEVELS, ~KNOWN),
    "compress": lambda model: npx.compress(model, LEVELS),
    "fit": lambda model: npx.fit(model, make_data()),
}


def make_model():
    model = npx.build("pixelcnn", shape=(1, 6, 6), levels=2, features=4, layers=1, side=3, seed=1)
    torch.nn.init.normal_(model.last.weight, generator=torch.Generator().manual_seed(0))
    return model


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16], ids=str)
def test_short_weights_are_refused_with_the_remedy(use, kind):
    text = r"must be of float32 or float64, got b?float16, .*; model.float\(\) makes them float32"
    with pytest.raises(ValueError, match=text):
        use(make_model().to(kind))


def test_the_remedy_works_and_keeps_the_numbers():
    model = make_model().half().float()
    assert torch.equal(npx.decompress(model, npx.compress(model, LEVELS)).long(), LEVELS)
    assert model.log_prob(LEVELS).dtype == torch.float32


def test_an_archive_reads_with_the_short_weights_it_was_made_with():
    model = make_model().half()
    archive = npx.compress(make_model().half().float(), LEVELS)
    assert torch.equal(npx.decompress(model, archive).long(), LEVELS)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16], ids=str)
def test_a_folder_of_short_weights_is_loaded_as_float32_and_says_so(tmp_path, kind):
    model = make_model().to(kind)
    npx.save(model, tmp_path)
    with pytest.warns(UserWarning, match=f"holds {kind}; loaded as float32, exactly"):
        loaded = npx.load(tmp_path)
    for name, weight in model.float().state_dict().items():
        assert torch.equal(loaded.state_dict()[name], weight), name
    assert npx.evaluate(loaded, LEVELS).nats == npx.evaluate(model, LEVELS).nats
