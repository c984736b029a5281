"""The command answers bad input with one line and the right status, and leaves what was there."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import nextpixel as npx
from nextpixel.cli.app import main
from tests import commands
from tests.commands import lines


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """A folder with a tiny recipe and a run of it, made by the command itself."""
    return commands.make_home(tmp_path_factory.mktemp("home"))


@pytest.fixture
def run(home, tmp_path, monkeypatch):
    """The run, with an empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return str(home / "run")


BAD = [
    ("smaple RUN", 2, 'Unknown command "smaple". Did you mean "sample"?'),
    ("sample", 2, "MODEL requires an argument"),
    ("sample RUN", 2, "--out requires an argument"),
    ("sample RUN --out a.png --cuont 3", 2, "Unknown option: --cuont. Did you mean --count?"),
    ("sample RUN --out a.png --count x", 2, 'unable to convert "x" into int'),
    ("sample RUN --out a.png --count 2.5", 2, "--count must be an integer, got '2.5'"),
    ("sample RUN --out a.png --count 0", 2, "count must be at least 1, got 0"),
    ("sample RUN --out a.png --batch-size 0", 2, "batch_size must be at least 1, got 0"),
    ("sample RUN --out a.png --columns 0", 2, "columns must be at least 1, got 0"),
    ("sample RUN --out a.png --temperature 0", 2, "temperature must be"),
    ("sample RUN --out a.png --method fast", 2, "no method 'fast'"),
    ("sample RUN --out a.jpg", 2, "out must end in .png or .npy or .gif, got 'a.jpg'"),
    ("sample RUN --out file/a.png", 1, "cannot write file"),
    ("sample absent --out a.png", 2, "there is no model 'absent'"),
    ("sample . --out a.png", 1, ". is no model folder: it has no config.json"),
    ("sample truncated --out a.png", 1, "truncated/model.safetensors is no whole safetensors"),
    ("sample newer --out a.png", 1, "newer/config.json has format 99"),
    ("models mnist2-gatd", 2, "there is no model 'mnist2-gatd'; did you mean 'mnist2-gated'?"),
    ("train dem", 2, "there is no recipe 'dem'; did you mean 'demo'?"),
    ("train absent.yaml", 2, "absent.yaml: cannot be read (No such file or directory)"),
    ("train TINY --out RUN", 2, "already holds a run; go on with it by --resume"),
    ("train TINY --out RUN --resume --train.seed 1", 2, "another run: its train.seed is 0"),
    ("train TINY --out absent --resume", 2, "out must be the folder of a run to resume"),
    ("train TINY --out empty --resume", 1, "empty holds no run to resume"),
    ("train TINY --out file/run", 1, "cannot write file/run"),
    ("train TINY --train.stepz 3", 2, "Unknown option: --train.stepz. Did you mean --train.steps"),
    ("train TINY --train 5", 2, "--train must be set one by one, as in --train.steps"),
    ("train TINY --model 5", 2, "--model must be set one by one, as in --model.name"),
    ("train TINY --model.a.b 5", 2, "--model has no sections, got a.b"),
    ("train TINY --train.steps x", 2, "train: steps must be an integer, got 'x'"),
    ("train TINY --train.steps 0", 2, "train: steps must be at least 1, got 0"),
    ("train TINY --train.betas 0", 2, "train: betas must be a list of 2"),
    ("train TINY --train.optimizer sgd", 2, "optimizer must be one of adam, adamw, muon"),
    ("train TINY --model.featurs 3", 2, "unknown key 'featurs'; did you mean 'features'?"),
    ("train TINY --model.featurs 3 --data.name absent", 2, "unknown key 'featurs'"),
    ("train TINY --model.features x", 2, "model: features must be an integer, got 'x'"),
    ("train TINY --model.name pixlcnn", 2, "no model 'pixlcnn'; did you mean 'pixelcnn'?"),
    ("train TINY --data.name digit", 2, "got 'digit': did you mean 'digits'?"),
    ("train TINY --data.levels 1", 2, "data: levels must be 2 to 65536, got 1"),
    ("train TINY --data.levels 70000", 2, "data: levels must be 2 to 65536, got 70000"),
    ("train TINY --train.learning-rate 1e30", 1, "is not finite at step"),
    ("train TINY --config absent.yaml", 2, "absent.yaml: cannot be read"),
    ("train TINY --config bad.yaml", 2, "bad.yaml: malformed settings: line 3"),
    ("train TINY --config list.yaml", 2, "list.yaml, line 1: must be sections of settings"),
    ("train TINY --config key.yaml", 2, "key.yaml: train: unknown key 'stepz'"),
    ("train TINY --config type.yaml", 2, "type.yaml: train: steps must be an integer, got 'x'"),
    ("train TINY --config file", 2, "file: a settings file must end in .yaml, .yml or .toml"),
    ("train scalar.yaml", 2, "scalar.yaml: train must be a section of settings, got 5"),
    ("sample RUN --config count.toml", 2, "count.toml: count must be an integer, got 1.5"),
    ("evaluate RUN --data mnits", 2, "got 'mnits': did you mean 'mnist'?"),
    ("evaluate RUN --data shapes", 2, "levels must be 2 for shapes"),
    ("evaluate RUN --data color.png", 2, "images must have shape (1, 8, 8) for this model"),
    ("evaluate RUN --data foreign.npy", 1, "foreign.npy"),
    ("evaluate RUN --split tset", 2, 'Choose from: "all"'),
    ("evaluate RUN --limit 0", 2, "limit must be at least 1, got 0"),
    ("evaluate RUN --batch-size 0", 2, "batch-size must be at least 1, got 0"),
    ("evaluate undescribed", 2, "data must be given, since undescribed does not say"),
    ("complete RUN --images digits --known tpo --out a.png", 2, "did you mean 'top'?"),
    ("complete RUN --images digits --known large.png --out a.png", 2, "known must be 8 x 8 pixels"),
    ("complete RUN --images digits --known foreign.png --out a.png", 1, "foreign.png"),
    ("complete RUN --images digits --known top --out a.gif", 2, "out must end in .png or .npy"),
    ("complete RUN --images digits --known top --count 0 --out a.png", 2, "count must be at least"),
    (
        "complete RUN --images digits --known top --images-count 0 --out a.png",
        2,
        "images-count must be at least 1, got 0",
    ),
    ("complete RUN --images high.npy --known top --out a.png", 1, "high.npy: numbers must be 0 to"),
    (
        "complete RUN --images foreign.npy --known top --out a.png",
        1,
        "foreign.npy: not a whole .npy",
    ),
    ("complete RUN --images color.png --known top --out a.png", 2, "got (3, 8, 8)"),
    ("complete RUN --images foreign.png --known top --out a.png", 1, "foreign.png"),
    ("complete RUN --images digit --known top --out a.png", 2, "did you mean 'digits'?"),
    ("audit RUN --out a.gif", 2, "out must end in .png, got 'a.gif'"),
    ("audit RUN --probes 0", 2, "probes must be at least 1, got 0"),
    ("recipes dem", 2, "there is no recipe 'dem'"),
]


@pytest.fixture
def clutter(run):
    """Files that are no good, in the folder where the command is run."""
    model = npx.load(run)
    for name in ("truncated", "newer", "undescribed"):
        npx.save(model, name)
    Path("empty").mkdir()
    os.truncate("truncated/model.safetensors", 100)
    config = npx.checkpoint.read_config("newer") | {"format": 99}
    texts = {
        "newer/config.json": json.dumps(config),
        "bad.yaml": "train:\n  steps: [1\n",
        "list.yaml": "- 1\n",
        "key.yaml": "train: {stepz: 1}\n",
        "type.yaml": "train: {steps: x}\n",
        "scalar.yaml": "train: 5\n",
        "count.toml": "out = 'a.png'\ncount = 1.5\n",
        "foreign.npy": "not an array",
        "foreign.png": "not a picture",
        "file": "",
    }
    for name, text in texts.items():
        Path(name).write_text(text)
    np.save("high.npy", np.full((2, 8, 8), 65536))
    Image.new("L", (9, 8)).save("large.png")
    Image.new("RGB", (8, 8), "red").save("color.png")
    return run


@pytest.mark.parametrize(("words", "status", "text"), BAD, ids=lambda value: str(value))
def test_bad_input_is_answered_in_one_line(home, clutter, capsys, words, status, text):
    places = {"RUN": clutter, "TINY": str(home / "tiny.yaml")}
    found = main([places.get(word, word) for word in words.split()])
    out, err = lines(capsys)
    assert (found, out) == (status, [])
    complaints = [line for line in err if "images/s" not in line and not line.startswith("data: ")]
    assert len(complaints) == 1, err
    assert complaints[0].startswith("nextpixel: error: ")
    assert text in complaints[0]


def test_a_refused_run_is_left_as_it_was(home, capsys):
    folder = home / "run"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert main(["train", str(home / "tiny.yaml"), "--out", str(folder)]) == 2
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert before == after
