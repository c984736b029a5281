"""What an audit reports; that it is right about real models is a law (tests/laws)."""

import json

import pytest
import torch

import nextpixel as npx
from nextpixel import audit as run_audit
from nextpixel import models
from nextpixel.audit import Audit
from nextpixel.order import Step
from tests.laws.cases import disturb


@pytest.fixture
def found():
    """A 3x3 image whose steps see their left neighbour; step 4 also sees step 8."""
    sees = torch.zeros(9, 9, dtype=torch.bool)
    sees[torch.arange(1, 9), torch.arange(8)] = True
    sees[4, 8] = True
    return Audit((1, 3, 3), 1, sees)


def test_a_leak_is_reported_by_its_steps(found):
    assert not found.causal
    assert found.leaks() == [(Step(1, 1, 0), Step(2, 2, 0))]
    assert "NOT causal: 1 pairs of steps leak" in found.summary()
    assert "the step at (1, 1, 0) sees (2, 2, 0)" in found.summary()


def test_coverage_is_the_share_of_the_past_that_is_seen(found):
    assert found.coverage()[0].isnan().tolist()[0] == [True, False, False]
    assert found.coverage()[0, 1].tolist() == pytest.approx([1 / 3, 1 / 4, 1 / 5])


def test_the_blind_spot_is_the_unseen_past_within_reach(found):
    assert found.blind(Step(1, 1, 0))[0].int().tolist() == [[1, 1, 1], [0, 0, 0], [0, 0, 0]]
    assert found.blind(Step(2, 0, 0))[0].int().tolist() == [[0, 0, 0], [1, 1, 0], [0, 0, 0]]


def test_the_findings_are_json(found):
    plain = json.loads(json.dumps(found.as_dict()))
    assert (plain["causal"], plain["leaks"], plain["steps"]) == (False, 1, 9)
    assert (plain["centre"], plain["centre_past"], plain["centre_blind"]) == ([1, 1, 0], 4, 3)


def test_the_model_is_left_as_it_was():
    model = models.build("pixelcnn", shape=(1, 3, 3), levels=2, features=2, batch_norm=True).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    run_audit(model)
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(value.requires_grad and value.dtype == torch.float32 for value in model.parameters())


def test_an_untrained_model_is_audited_by_weights_drawn_anew():
    """Its last layer is zero, so with its own weights nothing depends on anything."""
    model = models.build("pixelcnn", shape=(1, 4, 4), levels=2, features=8, layers=2, side=3)
    assert not run_audit(model, probes=1).sees.any()
    assert run_audit(model, probes=2).sees[1:].any(1).all()


def test_a_leak_through_relus_that_are_off_is_found():
    """All ReLUs of the first layer are off: the model's own weights hide what the net can see."""
    model = models.build("pixelcnn", shape=(1, 4, 4), levels=2, features=8, layers=1, side=3)
    torch.nn.init.normal_(model.last.weight)
    with torch.no_grad():
        model.hidden[0].conv.conv.bias.fill_(-1e6)
    model.hidden[0].conv.conv.mask[:, :, -1, 1] = True
    assert run_audit(model, probes=1).causal
    assert not run_audit(model, probes=3).causal


def test_progress_counts_all_derivatives():
    model = models.build("pixelcnn", shape=(1, 5, 5), levels=2, features=2)
    counts = []
    run_audit(model, probes=2, on_progress=counts.append)
    assert counts == [16, 25, 41, 50]


def test_many_levels_are_audited_without_a_list_of_them():
    options = {"features": 4, "layers": 2, "colors": "coupled", "components": 2}
    model = npx.build("pixelcnn", shape=(2, 5, 6), levels=65536, **options)
    found = run_audit(disturb(model))
    assert found.causal
    few = run_audit(disturb(npx.build("pixelcnn", shape=(2, 5, 6), levels=16, **options)))
    assert (found.sees | ~few.sees).all()  # a ReLU may be off for either


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_an_audit_takes_derivatives_wherever_it_is_called(mode):
    model = models.build("pixelcnn", shape=(1, 3, 3), levels=2, features=4, layers=1, side=3)
    expected = run_audit(model).sees
    with mode():
        assert torch.equal(run_audit(model).sees, expected)
