"""Weights in the layouts of the seeds' code: our nets on them give the same logits."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import nextpixel as npx
from tests import seed_nets

SCRIPT = Path(__file__).parents[1] / "examples" / "import_seed.py"
_spec = importlib.util.spec_from_file_location("import_seed", SCRIPT)
import_seed = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(import_seed)

SHAPE = (1, 9, 8)


def images(levels, *shape, count=3):
    return torch.randint(levels, (count, *shape), generator=torch.Generator().manual_seed(0))


def lively(net):
    """Random statistics of batch norm too, in evaluation mode."""
    rng = torch.Generator().manual_seed(1)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(generator=rng)
            module.running_var.uniform_(0.5, 2, generator=rng)
            torch.nn.init.normal_(module.weight, 1, 0.2, generator=rng)
            torch.nn.init.normal_(module.bias, 0, 0.2, generator=rng)
    return net.eval()


@torch.inference_mode()
def assert_equal(model, levels, expected, condition=None):
    """Our scores (B, C, H, W, K), or logits, against theirs in float32."""
    found = model(levels, condition)
    scores = found.logit if model.head.name == "bernoulli" else found.scores
    torch.testing.assert_close(scores, expected, rtol=0, atol=1e-5)
    assert npx.audit(model, probes=4).causal


@torch.inference_mode()
def test_seed_000():
    torch.manual_seed(0)
    net = lively(seed_nets.Net000(features=6, side=5, layers=3, levels=16))
    levels = images(16, *SHAPE)
    model = import_seed.seed_000(net.state_dict(), SHAPE)
    assert_equal(model, levels, net(levels / 15).permute(0, 2, 3, 1).unsqueeze(1))


@pytest.mark.parametrize("levels", [2, 16])
def test_seed_001(levels):
    weights = seed_nets.weights_001(8, 4, blocks=2, levels=levels)
    x = images(levels, *SHAPE)
    expected = seed_nets.net_001(weights, x / (levels - 1), 2).permute(0, 2, 3, 1).unsqueeze(1)
    assert_equal(import_seed.seed_001(weights, SHAPE), x, expected)


@torch.inference_mode()
def test_seed_002():
    torch.manual_seed(0)
    net, levels = seed_nets.Net002(layers=3, features=6), images(4, *SHAPE)
    model = import_seed.seed_002(net.state_dict(), SHAPE)
    assert_equal(model, levels, net(levels / 3).permute(0, 2, 3, 1).unsqueeze(1))


@torch.inference_mode()
def test_seed_004():
    torch.manual_seed(0)
    net, levels = seed_nets.Net004(features=6, side=5, wide=3), images(2, *SHAPE)
    assert_equal(import_seed.seed_004(net.state_dict(), SHAPE), levels, net(2 * levels - 1.0))


@torch.inference_mode()
def test_seed_004_with_classes():
    torch.manual_seed(0)
    net, levels = seed_nets.Net004(features=6, side=5, wide=3, classes=4), images(2, *SHAPE)
    labels = torch.tensor([0, 3, 1])
    expected = net(2 * levels - 1.0, torch.nn.functional.one_hot(labels, 4).float())
    assert_equal(import_seed.seed_004(net.state_dict(), SHAPE), levels, expected, labels)


@pytest.mark.parametrize("dependent", [True, False], ids=["dependent", "independent"])
@torch.inference_mode()
def test_seed_004_in_color(dependent):
    torch.manual_seed(0)
    net = lively(seed_nets.Color004(features=12, side=5, blocks=2, dependent=dependent))
    levels = images(4, 3, 6, 5)
    model = import_seed.seed_004_color(net.state_dict(), (3, 6, 5))
    expected = net((levels - 1.5) / 1.5).unflatten(1, (4, 3)).permute(0, 2, 3, 4, 1)
    assert_equal(model, levels, expected)


def test_the_first_layer_of_seed_004_in_color_sees_more_with_our_mask():
    """Not the colors of its own pixel: with the weights unmasked the logits are others."""
    torch.manual_seed(0)
    net = lively(seed_nets.Color004(features=12, side=5, blocks=1))
    state = {name: tensor for name, tensor in net.state_dict().items() if name != "net.0.mask"}
    levels = images(4, 3, 6, 5)
    model = import_seed.seed_004_color(state, (3, 6, 5))
    expected = net((levels - 1.5) / 1.5).unflatten(1, (4, 3)).permute(0, 2, 3, 4, 1)
    with torch.inference_mode():
        assert (model(levels).scores - expected).abs().max() > 1e-3


@pytest.mark.slow
def test_the_script_reads_files_and_writes_a_model(tmp_path):
    torch.save(seed_nets.Net002(layers=1, features=4).state_dict(), tmp_path / "net.pt")
    weights = [weight.numpy() for weight in seed_nets.weights_001(8, 4, blocks=1, levels=2)]
    np.savez(tmp_path / "net.npz", *weights)
    for layout, name in (("002", "net.pt"), ("001", "net.npz")):
        out = tmp_path / layout
        words = [sys.executable, SCRIPT, layout, tmp_path / name, "--out", out, "--shape", *"198"]
        subprocess.run(list(map(str, words)), check=True, capture_output=True)
        assert npx.load(out).shape == SHAPE
