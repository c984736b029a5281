"""The worked example of CONTRIBUTING keeps the laws that every registered model must keep."""

from pathlib import Path

import pytest
import torch

from nextpixel.audit import audit
from tests.laws.cases import disturb
from tests.test_readme import blocks_of

PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"


@pytest.fixture(scope="module")
def names():
    names = {"__name__": PAGE.stem}
    block = next(block for block in blocks_of(PAGE) if block.language == "python")
    exec(compile(block.text, PAGE.name, "exec"), names)
    return names


def build(names, *shape, levels=2):
    config = names["WideConfig"](features=6, side=3)
    return disturb(names["WidePixelCNN"](shape, levels, config).double().eval())


@pytest.mark.parametrize("colors", [1, 3])
def test_it_is_causal_and_sees_its_past(names, colors):
    found = audit(build(names, colors, 4, 4), probes=6)
    assert found.causal
    assert found.sees.any(1)[1:].all()


def test_its_probabilities_of_all_tiny_images_sum_to_one(names):
    images = torch.cartesian_prod(*[torch.arange(2)] * 6).view(-1, 1, 2, 3)
    total = build(names, 1, 2, 3).log_prob(images).logsumexp(0)
    torch.testing.assert_close(total, torch.zeros_like(total), rtol=0, atol=1e-10)


def test_its_program_gives_what_its_network_gives(names):
    model = build(names, 3, 5, 4, levels=4)
    x = model.encode(torch.randint(0, 4, (2, 3, 5, 4), generator=torch.Generator().manual_seed(0)))
    embedding = model.condition(None, 2)
    torch.testing.assert_close(model.lower().run(x, embedding), model.network(x, embedding))
