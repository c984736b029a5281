"""The command does what it says, by its words or by a file of options."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

import nextpixel as npx
from nextpixel import recipes
from nextpixel.cli import app
from nextpixel.cli.app import main
from nextpixel.recipes.shipped import Results
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


@pytest.mark.parametrize("side", ["top", "bottom", "left", "right"])
def test_completion_keeps_the_known_side(run, side):
    words = ["complete", run, "--images", "digits", "--known", side, "--out", "a.npy"]
    assert main([*words, "--images-count", "4", "--count", "2"]) == 0
    made = np.load("a.npy")
    whole = npx.load_data("digits").test.levels[:4].numpy()
    half = {"top": np.s_[:4], "bottom": np.s_[4:], "left": np.s_[:, :4], "right": np.s_[:, 4:]}
    assert made.shape == (4, 2, 1, 8, 8)
    for completion in range(2):
        np.testing.assert_array_equal(
            made[:, completion, 0][(slice(None), *np.atleast_1d(half[side]))],
            whole[:, 0][(slice(None), *np.atleast_1d(half[side]))],
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
def test_completion_takes_pictures(run, source, capsys):
    Path("folder").mkdir()
    pixels = np.full((8, 8), 255, np.uint8)
    for name in ("one.png", "folder/a.png", "folder/b.png"):
        Image.fromarray(pixels).save(name)
    words = ["complete", run, "--images", source, "--known", "top", "--out", "a.npy"]
    assert main(words) == 0
    made = np.load("a.npy")
    assert made.shape[0] == (1 if source == "one.png" else 2)
    made_of = "the image" if source == "one.png" else "each of 2 images"
    assert f"3 completions of {made_of} in a.npy" in capsys.readouterr().out
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
        "nextpixel.cli.measure.npx",
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
        (["recipes"], "40.75 nats, 0.0750 bits/dim, its own code not counted"),
        (["models"], "own code (16), not counted"),
        (["models", "mnist2-autoencoder", "--json"], '"condition": "own code (16), not counted"'),
        (["recipes", "demo"], "name: mnist"),
        (["models"], "residual-pixelcnn"),
        (["models"], "60.18 ± 0.16"),
        (["models", "mnist2-gated"], "# mnist2-gated"),
        (["models", "mnist2-gated"], "samples.png"),
        (["models", "mnist2-gated", "--json"], '"protocol": "threshold"'),
        (["models", "--json"], '"architectures": {"autoencoder"'),
        (["models", "gated-pixelcnn"], "layers=12"),
        (["models", "gated-pixelcnn"], "--model.head-features INTEGER"),
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


def test_recipes_as_json_hold_every_figure(capsys):
    assert main(["recipes", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert sorted(found) == recipes.names()
    measured = Results.read().measured
    assert sum(len(one["measured"]) for one in found.values()) == len(measured)
    assert found["mnist-fast"]["measured"][""]["nats"] == measured["mnist-fast"].nats
    assert found["mnist-fast"]["measured"]["two threads"]["nats"] == (
        measured["mnist-fast two threads"].nats
    )
    assert found["demo"]["parameters"] == 76_609
    assert found["demo"]["data"]["name"] == "mnist"
    seeds = {name for name, one in found.items() if one["seed"] and not one["measured"]}
    assert seeds == {"cifar-pixelcnn"}  # for a GPU and data of the user's own


def test_one_recipe_as_json_is_the_same_object(capsys):
    assert main(["recipes", "demo", "--json"]) == 0
    one = json.loads(capsys.readouterr().out)
    assert main(["recipes", "--json"]) == 0
    assert one == {"demo": json.loads(capsys.readouterr().out)["demo"]}


COMMANDS = {
    "train": "recipe: tiny.yaml",
    "mix": "out: mixed",
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
    "exhibit": "model: mnist2-gated",
}


@pytest.mark.parametrize("command", app._COMMANDS)
def test_every_command_refuses_a_file_with_an_unknown_key(run, capsys, command):
    Path("wrong.yaml").write_text(f"{COMMANDS[command]}\ncuont: 3\n")
    assert main([command, "--config", "wrong.yaml"]) == 2
    _, err = lines(capsys)
    assert len(err) == 1
    assert "wrong.yaml: unknown key 'cuont'; " in err[0]
