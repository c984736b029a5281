"""A model class from outside: registered, trained, saved, and loaded by a process of its own."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

import nextpixel as npx
from nextpixel.cli.app import main
from nextpixel.models import GatedPixelCNN, PixelCNN, PixelCNNConfig, PixelModel, registry
from nextpixel.models.options import ModelConfig
from tests.commands import lines

OUTSIDE = '''
from dataclasses import dataclass
import torch
from torch import nn
import nextpixel as npx
from nextpixel.models import PixelModel
from nextpixel.models.options import ModelConfig
from nextpixel.nn import MaskedConv2d

@dataclass(frozen=True, kw_only=True)
class WideConfig(ModelConfig):
    features: int = 8
    side: int = 5

@npx.register
class Wide(PixelModel):
    """One wide masked convolution, then ReLU."""
    name = "wide"
    Config = WideConfig

    def __init__(self, shape, levels, config):
        super().__init__(shape, levels, config)
        self.first = MaskedConv2d(self.inputs, config.features, config.side, sees_self=False,
                                  groups=self.groups)
        self.add_last(config.features)

    @property
    def reach(self):
        return self.config.side // 2

    def network(self, x, embedding, corner=(0, 0)):
        return self.read_out(torch.relu(self.first(x)), embedding)
'''
RECIPE = """
data: {name: digits}
model: {name: wide, features: 6}
train: {steps: 3, batch_size: 16, validate_every: 3, validation_images: 20, previews: 0}
"""


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """What is registered here is forgotten afterwards."""
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder to work in, with a module of somebody else and a recipe for its model."""
    (tmp_path / "wide_models.py").write_text(OUTSIDE)
    (tmp_path / "wide.yaml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "wide_models", raising=False)
    return tmp_path


def command(*words):
    """The command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "nextpixel", *words], capture_output=True, text=True
    )
    return done.returncode, done.stdout, done.stderr


def subclass(base=PixelCNN, **attributes):
    return type("Own", (base,), attributes)


def built(cls, **options):
    return cls((1, 8, 8), 2, cls.Config(**options)).eval()


# Training, saving, loading


@pytest.mark.slow
def test_a_model_from_outside_is_trained_saved_and_loaded_by_another_process(home):
    status, _, err = command("--import", "wide_models", "train", "wide.yaml", "--out", "run")
    assert status == 0, err
    kept = json.loads(Path("run/config.json").read_text())
    assert kept["model"]["module"] == "wide_models"
    status, out, err = command("evaluate", "run", "--import", "wide_models", "--json")
    assert status == 0, err
    assert json.loads(out) == kept["evaluation"]


def test_the_library_loads_it_once_its_module_is_imported(home):
    import wide_models

    model = npx.build("wide", shape=(1, 8, 8), levels=17)
    npx.save(model, "a")
    again = npx.load("a")
    assert type(again) is wide_models.Wide
    levels = npx.load_data("digits").test.levels[:3]
    assert torch.equal(again.log_prob(levels), model.log_prob(levels))


def test_without_its_module_the_error_names_it(home, capsys):
    import wide_models

    npx.save(built(wide_models.Wide), "a")
    registry._registered.pop("wide")
    text = "there is no model 'wide': import wide_models first, which registers it"
    with pytest.raises(npx.NextPixelError, match=text):
        npx.load("a")
    assert main(["evaluate", "a"]) == 1
    assert "on the command line: --import wide_models" in lines(capsys)[1][0]


def test_a_model_of_the_package_names_no_module(home):
    npx.save(built(PixelCNN), "a")
    assert "module" not in json.loads(Path("a/config.json").read_text())["model"]


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("absent_models", "import must name a module, got 'absent_models': No module named"),
        ("broken_models", "import must name a module, got 'broken_models': ZeroDivisionError"),
    ],
)
def test_a_module_that_cannot_be_imported_is_answered_in_one_line(home, capsys, module, text):
    Path("broken_models.py").write_text("1 / 0\n")
    assert main(["models", "--import", module]) == 2
    (line,) = lines(capsys)[1]
    assert text in line


# What is registered


def test_a_class_is_registered_by_its_name_and_stays_itself():
    own = subclass(name="own")
    assert npx.register(own) is own
    assert "own" in npx.models.names()
    assert type(npx.build("own", shape=(1, 4, 4), levels=2)) is own


def test_a_class_may_be_registered_again_and_defined_again():
    first, second = subclass(name="own"), subclass(name="own")
    npx.register(npx.register(first))
    npx.register(second)
    assert npx.models.model_class("own") is second


class NoDataclass:
    """Options of the wrong kind."""


REFUSED = {
    "an instance": (lambda: built(PixelCNN), TypeError, "cls must be a subclass of PixelModel"),
    "no model": (lambda: nn.Linear, TypeError, "cls must be a subclass of PixelModel, got <class"),
    "abstract": (
        lambda: subclass(PixelModel, name="own"), TypeError, "got Own without network, reach",
    ),
    "no name": (
        lambda: subclass(name=""), TypeError, "name of Own must be a text such as 'my-pixelcnn'",
    ),
    "no options": (
        lambda: subclass(name="own", Config=NoDataclass), TypeError,
        "Config of Own must be a dataclass of options",
    ),
    "name of its parent": (
        subclass, ValueError, "must be its own, got 'pixelcnn', which is that of nextpixel",
    ),
    "name of another": (
        lambda: subclass(name="gated-pixelcnn"), ValueError, "which is that of nextpixel.models",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "kind", "text"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_built_by_name_is_not_registered(make, kind, text):
    with pytest.raises(kind, match=text):
        npx.register(make())


# What is saved


@dataclass(frozen=True, kw_only=True)
class LooseConfig(PixelCNNConfig):
    """Options that JSON may not hold."""

    extra: float | None = None
    sizes: tuple = ()


def changed_layers():
    model = built(GatedPixelCNN, features=4, layers=1)
    model.extra = nn.Linear(2, 2)
    return model


def redefined():
    model = built(npx.register(subclass(name="own")))
    npx.register(subclass(name="own"))
    return model


def with_option(**options):
    return built(npx.register(subclass(name="own", Config=LooseConfig)), **options)


def with_other_config():
    model = built(PixelCNN)
    model.config = ModelConfig()
    return model


UNSAVED = {
    "not registered": (lambda: built(subclass(name="own")), r"call nextpixel.register\(Own\)"),
    "name of its parent": (lambda: built(subclass()), "registered as 'pixelcnn', nextpixel.models"),
    "defined again": (redefined, "got one built before the class was defined again"),
    "not JSON": (lambda: with_option(extra={1, 2}), "extra must survive JSON to be saved"),
    "not a number": (lambda: with_option(extra=float("nan")), "extra must survive JSON"),
    "an annotation without a reader": (
        lambda: with_option(sizes=(1, 2)),
        "options must be settings to be saved, got one annotated as <class 'tuple'>",
    ),
    "other options": (with_other_config, "config must be a PixelCNNConfig, got a ModelConfig"),
    "other layers": (changed_layers, "got others: extra.bias, extra.weight"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "text"), UNSAVED.values(), ids=UNSAVED.keys())
def test_what_cannot_be_loaded_again_is_not_saved(tmp_path, make, text):
    with pytest.raises(ValueError, match=text):
        npx.save(make(), tmp_path / "a")
    assert not (tmp_path / "a").exists()
