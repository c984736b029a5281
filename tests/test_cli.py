"""The command does what it says, and answers bad input with one line and the right status."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

import nextpixel as npx
from nextpixel.cli import app, options, progress
from nextpixel.cli.app import main
from nextpixel.errors import NextPixelError
from nextpixel.training import Progress

TINY = """
data: {name: digits}
model: {name: pixelcnn, features: 8, layers: 2, side: 3}
train: {steps: 20, batch_size: 16, validate_every: 10, validation_images: 20, test_images: 20,
        previews: 2, preview_count: 4}
"""


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """A folder with a tiny recipe and a run of it, made by the command itself."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "tiny.yaml").write_text(TINY)
    assert main(["train", str(folder / "tiny.yaml"), "--out", str(folder / "run")]) == 0
    return folder


@pytest.fixture
def run(home, tmp_path, monkeypatch):
    """The run, with an empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return str(home / "run")


def lines(capsys):
    out, err = capsys.readouterr()
    return out.splitlines(), err.splitlines()


# What the commands do


def test_a_training_folder_holds_all_that_the_contract_names(home):
    for name in ("model.safetensors", "config.json", "metrics.csv", "training.gif", "curves.png"):
        assert (home / "run" / name).is_file(), name
    assert (home / "run" / "resume").is_dir()
    drawn = sorted(path.stem for path in (home / "run" / "samples").glob("*.png"))
    assert [int(step) for step in drawn] == [0, 10, 20]


def test_training_leaves_its_test_figures_with_the_model(home, capsys):
    kept = json.loads((home / "run" / "config.json").read_text())["evaluation"]
    capsys.readouterr()
    assert main(["evaluate", str(home / "run"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == kept
    assert (kept["n"], kept["data"], kept["protocol"]) == (179, "digits/test", "levels")


def test_overrides_win_over_the_file_and_the_file_over_the_recipe(home, run):
    Path("mine.toml").write_text(
        "out = 'here'\n[train]\nsteps = 3\nseed = 4\n[model]\nlayers = 1\n"
    )
    words = ["train", str(home / "tiny.yaml"), "--config", "mine.toml", "--train.steps", "2"]
    assert main([*words, "--train.betas", "0,0.99", "--model.features", "4"]) == 0
    config = npx.checkpoint.read_config("here")
    trained = config["training"]
    assert (trained["steps"], trained["seed"], trained["batch_size"]) == (2, 4, 16)
    assert trained["betas"] == [0.0, 0.99]
    options = config["model"]["options"]
    assert (options["features"], options["layers"], options["side"]) == (4, 1, 3)


def test_a_run_goes_on_where_it_was(home, run, capsys):
    words = ["train", str(home / "tiny.yaml"), "--out", "short"]
    assert main([*words, "--train.steps", "4"]) == 0
    assert main([*words, "--resume"]) == 0
    assert "20 steps" in capsys.readouterr().out
    again, whole = (npx.load(folder).state_dict() for folder in ("short", run))
    for name in whole:
        torch.testing.assert_close(again[name], whole[name], rtol=0, atol=0)


def test_evaluation_takes_another_split_and_fewer_images(run, capsys):
    words = ["evaluate", run, "--split", "validation", "--limit", "7", "--json"]
    assert main(words) == 0
    out, err = lines(capsys)
    found = json.loads(out[0])
    assert (len(out), err, found["n"], found["data"]) == (1, [], 7, "digits/validation")


def test_evaluation_is_on_all_test_images_though_training_was_on_a_few(home, run, capsys):
    words = ["--data.limit", "30", "--train.steps", "1", "--out", "few"]
    assert main(["train", str(home / "tiny.yaml"), *words]) == 0
    capsys.readouterr()
    assert main(["evaluate", "few", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n"] == 179


def test_evaluation_for_people_is_one_line(run, capsys):
    assert main(["evaluate", run, "--limit", "5"]) == 0
    out, _ = lines(capsys)
    assert len(out) == 1
    assert "nats per image" in out[0]
    assert "protocol levels" in out[0]


def test_samples_are_those_of_the_library_at_the_same_seed(run):
    assert main(["sample", run, "--count", "5", "--seed", "3", "--out", "a.npy"]) == 0
    rng = torch.Generator().manual_seed(3)
    expected = npx.sample(npx.load(run), 5, rng=rng)
    np.testing.assert_array_equal(np.load("a.npy"), expected.numpy())


def test_samples_come_as_a_grid(run):
    assert main(["sample", run, "--count", "6", "--columns", "2", "--out", "new/a.png"]) == 0
    with Image.open("new/a.png") as picture:
        assert picture.size == (2 * 66 + 2, 3 * 66 + 2)


def test_the_scan_is_shown_row_by_row(run):
    assert main(["sample", run, "--count", "4", "--batch-size", "1", "--out", "a.gif"]) == 0
    with Image.open("a.gif") as picture:
        assert picture.n_frames == 8


@pytest.mark.parametrize("side", ["top", "bottom", "left", "right"])
def test_completion_keeps_the_known_side(run, side):
    words = ["complete", run, "--images", "digits", "--known", side, "--out", "a.npy"]
    assert main([*words, "--images-count", "4", "--count", "2"]) == 0
    made = np.load("a.npy")
    given = npx.load_data("digits").test.levels[:4].numpy()
    half = {"top": np.s_[:4], "bottom": np.s_[4:], "left": np.s_[:, :4], "right": np.s_[:, 4:]}
    assert made.shape == (4, 2, 1, 8, 8)
    for completion in range(2):
        np.testing.assert_array_equal(
            made[:, completion, 0][(slice(None), *np.atleast_1d(half[side]))],
            given[:, 0][(slice(None), *np.atleast_1d(half[side]))],
        )
    assert (made[:, 0] != made[:, 1]).any()


def test_completion_takes_a_mask_picture_and_an_array(run):
    mask = np.zeros((8, 8), np.uint8)
    mask[2:5, 3:6] = 255
    Image.fromarray(mask).save("mask.png")
    images = np.full((2, 8, 8), 9, np.uint8)
    np.save("in.npy", images)
    words = ["complete", run, "--images", "in.npy", "--known", "mask.png", "--out", "a.npy"]
    assert main(words) == 0
    made = np.load("a.npy")[:, :, 0]
    assert (made[:, :, mask > 0] == 9).all()
    assert (made[:, :, mask == 0] != 9).any()


@pytest.mark.parametrize("source", ["one.png", "folder"])
def test_completion_takes_pictures(run, source):
    Path("folder").mkdir()
    pixels = np.full((8, 8), 255, np.uint8)
    for name in ("one.png", "folder/a.png", "folder/b.png"):
        Image.fromarray(pixels).save(name)
    words = ["complete", run, "--images", source, "--known", "top", "--out", "a.npy"]
    assert main(words) == 0
    made = np.load("a.npy")
    assert made.shape[0] == (1 if source == "one.png" else 2)
    assert (made[..., :4, :] == 16).all()


def test_a_sheet_of_completions_is_a_picture(run):
    words = ["complete", run, "--images", "digits", "--known", "top", "--images-count", "2"]
    assert main([*words, "--out", "a.png"]) == 0
    with Image.open("a.png") as picture:
        assert picture.size == (5 * 74 + 2, 2 * 74 + 2 + 18)


def test_an_audit_draws_what_it_found(run, capsys):
    assert main(["audit", run, "--out", "a.png", "--json"]) == 0
    out, _ = lines(capsys)
    assert len(out) == 1
    assert json.loads(out[0])["causal"] is True
    with Image.open("a.png") as picture:
        assert picture.size == (420, 500)


def test_an_audit_of_a_leaking_model_fails(run, capsys, monkeypatch):
    model = npx.load(run)
    leak = SimpleNamespace(
        causal=False, leaks=lambda: [1, 2, 3], summary=lambda: "NOT causal", as_dict=dict
    )
    monkeypatch.setattr(
        "nextpixel.cli.audit.npx",
        SimpleNamespace(load=lambda _: model, audit=lambda *_, **__: leak),
    )
    assert main(["audit", run]) == 1
    out, err = lines(capsys)
    assert out == ["NOT causal"]
    assert len(err) == 1
    assert "is not causal: 3 pairs of steps leak" in err[0]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["recipes"], "demo "),
        (["recipes", "demo"], "name: mnist"),
        (["models"], "residual-pixelcnn"),
        (["models"], "60.18 ± 0.16"),
        (["models", "mnist2-gated"], "# mnist2-gated"),
        (["models", "mnist2-gated"], "samples.png"),
        (["models", "mnist2-gated", "--json"], '"protocol": "threshold"'),
        (["models", "--json"], '"architectures": {"autoencoder"'),
        (["models", "gated-pixelcnn"], "layers=12"),
        (["data"], "color-shapes"),
    ],
)
def test_the_lists_name_what_there_is(capsys, words, text):
    assert main(words) == 0
    assert text in capsys.readouterr().out


def test_a_recipe_that_was_shown_can_be_trained(run, capsys):
    assert main(["recipes", "demo"]) == 0
    Path("copy.yaml").write_text(capsys.readouterr().out)
    assert npx.recipes.read("copy.yaml").train == npx.recipes.read("demo").train


# Options from a file


def test_every_option_can_come_from_a_file(run, capsys):
    Path("all.yaml").write_text(f"model: {run}\ncount: 3\nbatch-size: 2\nseed: 5\nout: a.npy\n")
    assert main(["sample", "--config", "all.yaml"]) == 0
    from_file = np.load("a.npy")
    assert main(["sample", run, "--count", "3", "--seed", "5", "--out", "b.npy"]) == 0
    np.testing.assert_array_equal(from_file, np.load("b.npy"))


def test_the_command_line_wins_over_the_file(run):
    Path("some.toml").write_text("count = 3\nout = 'a.npy'\n")
    assert main(["--config", "some.toml", "sample", run, "--count", "2"]) == 0
    assert len(np.load("a.npy")) == 2


COMMANDS = {
    "train": "recipe: tiny.yaml",
    "evaluate": "limit: 3",
    "sample": "out: a.png",
    "complete": "known: top",
    "reconstruct": "images: digits",
    "compress": "chunk: 3",
    "decompress": "salvage: true",
    "info": "json: true",
    "audit": "probes: 1",
    "recipes": "name: demo",
    "models": "json: true",
    "data": "",
    "runs": "curves: a.png",
    "serve": "port: 8001",
}


@pytest.mark.parametrize("command", app._COMMANDS)
def test_every_command_refuses_a_file_with_an_unknown_key(run, capsys, command):
    Path("wrong.yaml").write_text(f"{COMMANDS[command]}\ncuont: 3\n")
    assert main([command, "--config", "wrong.yaml"]) == 2
    _, err = lines(capsys)
    assert len(err) == 1
    assert "wrong.yaml: unknown key 'cuont'; " in err[0]


# Bad input: the words, the status, the text of the one line

BAD = [
    ("smaple RUN", 2, 'Unknown command "smaple". Did you mean "sample"?'),
    ("sample", 2, "MODEL requires an argument"),
    ("sample RUN", 2, "--out requires an argument"),
    ("sample RUN --out a.png --cuont 3", 2, "Unknown option: --cuont. Did you mean --count?"),
    ("sample RUN --out a.png --count x", 2, 'unable to convert "x" into int'),
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
    ("train TINY --train 5", 2, "--train must be given setting by setting, as in --train.steps"),
    ("train TINY --model 5", 2, "Invalid value for --model"),
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
    ("train TINY --data.levels 1", 2, "data: levels must be 2 to 256, got 1"),
    ("train TINY --data.levels 300", 2, "data: levels must be 2 to 256, got 300"),
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
    ("evaluate RUN --data mnist", 2, "data must have images of shape (1, 8, 8) for this model"),
    ("evaluate RUN --data foreign.npy", 1, "foreign.npy"),
    ("evaluate RUN --split tset", 2, 'Choose from: "test"'),
    ("evaluate RUN --limit 0", 2, "count must be at least 1, got 0"),
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
    ("complete RUN --images large.npy --known top --out a.png", 2, "levels must have shape (B, 1"),
    ("complete RUN --images high.npy --known top --out a.png", 1, "high.npy: must hold levels or"),
    ("complete RUN --images foreign.npy --known top --out a.png", 1, "foreign.npy: cannot be read"),
    ("complete RUN --images large.png --known top --out a.png", 2, "must have shape (1, 8, 8)"),
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
    np.save("large.npy", np.zeros((2, 9, 9), np.uint8))
    np.save("high.npy", np.full((2, 8, 8), 256))
    Image.new("L", (9, 8)).save("large.png")
    Image.new("RGB", (8, 8), "red").save("color.png")
    return run


@pytest.mark.parametrize(("words", "status", "text"), BAD, ids=lambda value: str(value))
def test_bad_input_is_answered_in_one_line(home, clutter, capsys, words, status, text):
    places = {"RUN": clutter, "TINY": str(home / "tiny.yaml")}
    found = main([places.get(word, word) for word in words.split()])
    out, err = lines(capsys)
    assert (found, out) == (status, [])
    complaints = [line for line in err if "images/s" not in line]
    assert len(complaints) == 1, err
    assert complaints[0].startswith("nextpixel: error: ")
    assert text in complaints[0]


def test_a_refused_run_is_left_as_it_was(home, capsys):
    folder = home / "run"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert main(["train", str(home / "tiny.yaml"), "--out", str(folder)]) == 2
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert before == after


# Exit statuses


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (NextPixelError("no disk"), 1, "nextpixel: error: no disk"),
        (OSError(28, "No space left", "f"), 1, "nextpixel: error: [Errno 28] No space left: 'f'"),
        (MemoryError(), 1, "nextpixel: error: MemoryError"),
        (ValueError("a\n  b"), 2, "nextpixel: error: a b"),
        (TypeError("t"), 2, "nextpixel: error: t"),
        (RuntimeError("r"), 1, "nextpixel: error: RuntimeError: r (--debug shows where)"),
        (KeyboardInterrupt(), 130, "nextpixel: interrupted"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_an_error_has_its_status(capsys, monkeypatch, error, status, text):
    def fail(*_):
        raise error

    monkeypatch.setattr("nextpixel.recipes.names", fail)
    assert main(["recipes"]) == status
    assert lines(capsys) == ([], [text])


def test_a_request_to_stop_keeps_its_status(monkeypatch):
    monkeypatch.setattr("nextpixel.recipes.names", lambda: sys.exit(143))
    assert main(["recipes"]) == 143


def test_debug_shows_the_traceback(capsys):
    assert main(["recipes", "dem", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


# Progress


def a_progress(share):
    return Progress(step=7, share=share, images=80_736, seconds=65.4, nats=70.123)


def test_progress_says_speed_likelihood_and_time_left():
    text = progress.describe(a_progress(0.5))
    assert text == "step 7, 1,234 images/s, 70.12 nats per image, 1:05 left"


def test_without_a_terminal_progress_is_a_line_now_and_then(capsys, monkeypatch):
    clock = iter([0.0, 1.0, 6.0, 7.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress.training() as show:
        for share in (0.1, 0.2, 0.3, 1.0):
            show(a_progress(share))
    _, err = lines(capsys)
    assert [line.split()[0] for line in err] == ["10%", "30%", "100%"]


def test_on_a_terminal_progress_is_a_bar(capsys, monkeypatch):
    monkeypatch.setattr(progress, "on_terminal", lambda: True)
    with progress.training() as show:
        show(a_progress(0.5))
        show(a_progress(1.0))
    err = capsys.readouterr().err
    assert "100%|" in err
    assert "70.12 nats per image" in err


def test_counters_are_silent_without_a_terminal(capsys):
    with progress.counting(3, "row") as count:
        count(3)
    assert capsys.readouterr().err == ""


def test_the_help_explains_every_setting():
    for config in (npx.TrainConfig, npx.data.DataConfig):
        texts = options.explanations(config)
        assert set(config.__dataclass_fields__) <= set(texts)


# Real processes


def command(*words, **options):
    return subprocess.run(
        [sys.executable, "-m", "nextpixel", *words], capture_output=True, text=True, **options
    )


def test_help_needs_no_torch():
    code = "import sys; from nextpixel.cli.app import main; main(['--help']); "
    code += "print([name for name in ('torch', 'numpy', 'matplotlib') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "evaluate" in done.stdout


def test_the_help_of_training_lists_settings_and_defaults_without_torch():
    code = "import sys; from nextpixel.cli.app import main; main(['train', '--help']); "
    code += "print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False"
    for text in ("--train.steps", "default 10000", "--train.batch-size", "--data.levels"):
        assert text in done.stdout


def test_a_process_answers_bad_input_without_traceback():
    done = command("train", "dem")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "nextpixel: error: there is no recipe 'dem'; did you mean 'demo'?\n"


def test_sigterm_leaves_a_resume_point(home, tmp_path):
    words = ["train", str(home / "tiny.yaml"), "--out", str(tmp_path / "run")]
    process = subprocess.Popen(
        [sys.executable, "-m", "nextpixel", *words, "--train.steps", "1000000"],
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stderr.readline()  # the first update is done
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "--resume" in err
    assert (tmp_path / "run" / "resume" / "state.pt").is_file()


def test_a_reader_that_leaves_is_no_error():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "nextpixel", "recipes", "demo"],
        stdout=write,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONUNBUFFERED": ""},  # what is buffered is written once more at exit
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_recompute_says_what_it_costs_and_draws_the_same(run, capsys):
    words = ["sample", run, "--count", "3", "--out"]
    assert main([*words, "fast.npy"]) == 0
    assert "warning" not in capsys.readouterr().err
    assert main([*words, "slow.npy", "--method", "recompute"]) == 0
    assert "nextpixel: warning: method recompute runs the network for each of" in (
        capsys.readouterr().err
    )
    assert np.array_equal(np.load("fast.npy"), np.load("slow.npy"))


def test_top_k_of_one_draws_the_likeliest_levels_whatever_the_seed(run):
    words = ["sample", run, "--count", "2", "--top-k", "1"]
    assert main([*words, "--seed", "1", "--out", "a.npy"]) == 0
    assert main([*words, "--seed", "2", "--out", "b.npy"]) == 0
    assert np.array_equal(np.load("a.npy"), np.load("b.npy"))
