"""The command with models that have a condition: labels, codes, classes, health."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import nextpixel as npx
from nextpixel.cli.app import main
from nextpixel.cli.measure import health_of
from nextpixel.nn import Injection
from tests.commands import caller

RECIPE = """
data: {{name: digits}}
model: {model}
train: {{steps: {steps}, batch_size: 32, learning_rate: 0.01, validate_every: {steps},
        validation_images: 20, previews: {previews}, preview_count: 12}}
"""
SIZES = "features: 8, layers: 2, first_side: 5, head_features: 8"
GATED = f"name: gated-pixelcnn, {SIZES}"
MODELS = {
    "class": (f"{{{GATED}, condition: [{{classes: 10, form: gate, dropout: 0.1}}]}}", 100, 1),
    "strict": ("{name: pixelcnn, features: 4, layers: 1, condition: {classes: 10}}", 1, 0),
    "coder": (f"{{name: autoencoder, {SIZES}, code: 6, encoder_features: 8}}", 100, 1),
    "plain": ("{name: pixelcnn, features: 4, layers: 1}", 1, 0),
}


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Folders of models that the command itself trained, and of some that it cannot."""
    folder = tmp_path_factory.mktemp("conditional")
    for name, (model, steps, previews) in MODELS.items():
        text = RECIPE.format(model=model, steps=steps, previews=previews)
        (folder / f"{name}.yaml").write_text(text)
        words = ["train", str(folder / f"{name}.yaml"), "--out", str(folder / name)]
        assert main(words) == 0
    write_deaf(folder)
    data = {"name": "digits"}
    mapped = npx.build("pixelcnn", shape=(1, 8, 8), levels=17, condition=npx.MapCondition(1))
    npx.save(mapped, folder / "map", data=data)
    few = npx.build("pixelcnn", shape=(1, 8, 8), levels=17, condition=npx.ClassCondition(5))
    npx.save(few, folder / "few", data=data)
    return folder


def write_deaf(folder):
    """The class-conditional model, its conditions without weight."""
    model = npx.load(folder / "class")
    with torch.no_grad():
        for part in model.modules():
            if isinstance(part, Injection):
                for weight in part.parameters():
                    weight.zero_()
    npx.save(model, folder / "ignoring", data={"name": "digits"})


@pytest.fixture
def run(made, tmp_path, monkeypatch, capsys):
    """Run the command in an empty folder; its status, lines of output, lines of errors."""
    monkeypatch.chdir(tmp_path)
    return caller(made, capsys)


def drawn(made, name, condition, seed=0):
    rng = torch.Generator().manual_seed(seed)
    model = npx.load(made / name)
    return npx.sample(model, len(condition), rng=rng, condition=condition).numpy()


def first_images(count):
    return npx.load_data("digits").test.levels[:count]


# Training


@pytest.mark.parametrize("name", ["class", "coder"])
def test_a_conditional_recipe_trains_into_a_whole_folder(made, name):
    for file in ("model.safetensors", "config.json", "metrics.csv", "training.gif", "curves.png"):
        assert (made / name / file).is_file(), file
    assert (
        len(list((made / name / "samples").glob("*.png"))) == 2
    )  # before the first update, and at the end


def test_the_figures_in_a_folder_say_what_the_model_was_conditioned_on(made):
    conditions = {
        name: npx.checkpoint.read_config(made / name)["evaluation"]["given"]
        for name in ("class", "coder", "plain")
    }
    assert conditions == {
        "class": "labels (B,), 0..9",
        "coder": "a code of 6 numbers made from the image itself, which is not counted",
        "plain": "nothing",
    }


# Samples and completions


@pytest.mark.parametrize(
    ("words", "labels"),
    [
        (["--label", "3"], [3, 3, 3, 3]),
        (["--label", "3", "7", "1"], [3, 7, 1, 3]),
        (["--label", "3", "--label", "7"], [3, 7, 3, 7]),
        (["--label", "-1"], [-1, -1, -1, -1]),
        ([], [0, 1, 2, 3]),
    ],
    ids=["one", "several", "twice", "unknown", "default"],
)
def test_labels_are_gone_through_in_turn(made, run, words, labels):
    assert run("sample", "class", "--count", "4", "--out", "a.npy", *words)[0] == 0
    np.testing.assert_array_equal(np.load("a.npy"), drawn(made, "class", torch.tensor(labels)))


def test_all_classes_are_drawn_by_default_and_again_after_the_last(made, run):
    assert run("sample", "class", "--count", "12", "--out", "a.npy")[0] == 0
    expected = drawn(made, "class", torch.arange(12) % 10)
    np.testing.assert_array_equal(np.load("a.npy"), expected)


def test_another_label_draws_other_images(run):
    for label in ("0", "1"):
        words = ["--count", "4", "--label", label, "--out", f"{label}.npy"]
        assert run("sample", "class", *words)[0] == 0
    assert (np.load("0.npy") != np.load("1.npy")).any()


def test_labels_can_come_from_a_file(made, run):
    Path("how.yaml").write_text("label: [3, 7]\ncount: 3\nout: a.npy\n")
    assert run("sample", "class", "--config", "how.yaml")[0] == 0
    np.testing.assert_array_equal(np.load("a.npy"), drawn(made, "class", torch.tensor([3, 7, 3])))


@pytest.mark.parametrize("out", ["a.png", "a.gif"])
def test_conditional_samples_come_as_pictures(run, out):
    assert run("sample", "class", "--count", "4", "--out", out)[0] == 0
    with Image.open(out) as picture:
        assert getattr(picture, "n_frames", 1) == (8 if out == "a.gif" else 1)


def test_an_auto_encoder_draws_from_the_codes_of_the_first_test_images(made, run):
    assert run("sample", "coder", "--count", "3", "--out", "a.npy")[0] == 0
    codes = npx.load(made / "coder").codes(first_images(3)).detach()
    np.testing.assert_array_equal(np.load("a.npy"), drawn(made, "coder", codes))


@pytest.mark.parametrize(
    ("words", "labels"),
    [(["--label", "3", "7"], [3, 7, 3]), ([], None)],
    ids=["given", "the-images-own"],
)
def test_all_completions_of_an_image_have_its_label(made, run, words, labels):
    labels = labels or npx.load_data("digits").test.labels[:3].tolist()
    what = ["--images", "digits", "--known", "top", "--images-count", "3", "--count", "2"]
    assert run("complete", "class", *what, "--out", "a.npy", *words)[0] == 0
    many = first_images(3).repeat_interleave(2, 0)
    known = torch.zeros(8, 8, dtype=torch.bool)
    known[:4] = True
    expected = npx.complete(
        npx.load(made / "class"),
        many,
        known,
        rng=torch.Generator().manual_seed(0),
        condition=torch.tensor(labels).repeat_interleave(2),
    )
    np.testing.assert_array_equal(np.load("a.npy"), expected.view(3, 2, 1, 8, 8).numpy())


def test_an_auto_encoder_completes_with_the_codes_of_what_is_known(made, run):
    whole = first_images(2)
    np.save("whole.npy", whole.numpy())
    np.save("erased.npy", whole.index_fill(2, torch.arange(4, 8), 9).numpy())
    for images in ("whole", "erased"):
        what = ["--images", f"{images}.npy", "--known", "top", "--out", f"{images}-made.npy"]
        assert run("complete", "coder", *what)[0] == 0
    made_of_whole, made_of_erased = np.load("whole-made.npy"), np.load("erased-made.npy")
    np.testing.assert_array_equal(made_of_whole, made_of_erased)
    assert (made_of_whole[:, 0, :, :4] == whole[:, :, :4].numpy()).all()


# Figures


def test_evaluation_classifies_and_says_that_the_model_listens(made, run):
    status, out, _ = run("evaluate", "class", "--classify")
    figures, health, right = out
    model, test = npx.load(made / "class"), npx.load_data("digits").test
    assert status == 0
    assert figures.endswith("given labels (B,), 0..9)")
    assert health == f"health (179 images): {npx.health(model, test)}"
    assert "with none" in health
    assert "IGNORES" not in health
    hits = (npx.classify(model, test.levels).argmax(1) == test.labels).double().mean().item()
    assert hits > 0.5  # chance is 0.1
    assert right.startswith(f"classified right: {hits:.2%} +- ")
    assert right.endswith(" of 179 images")


def test_evaluation_in_json_has_all_figures_as_plain_values(run):
    status, out, _ = run("evaluate", "class", "--classify", "--json")
    (line,) = out
    found = json.loads(line)
    assert status == 0
    assert {"nats", "bits_per_dim", "given", "health", "classified_right"} <= found.keys()
    assert found["health"].keys() == {"right", "shuffled", "none", "n", "listens"}
    assert found["health"]["right"] == pytest.approx(found["nats"])
    assert found["health"]["listens"] is True
    share, n = found["classified_right"]["share"], found["classified_right"]["n"]
    error = (share * (1 - share) / (n - 1)) ** 0.5
    assert n == 179
    assert found["classified_right"]["standard_error"] == pytest.approx(error)


def test_a_single_image_has_no_standard_error_and_no_health(run):
    _, (line,), _ = run("evaluate", "class", "--classify", "--json", "--limit", "1")
    assert "NaN" not in line
    found = json.loads(line)
    assert found["classified_right"]["standard_error"] is None
    assert "health" not in found


def test_a_model_that_ignores_its_condition_is_named(run):
    status, out, _ = run("evaluate", "ignoring")
    assert status == 0
    assert out[1].endswith(": the model IGNORES its condition")
    assert json.loads(run("evaluate", "ignoring", "--json")[1][0])["health"]["listens"] is False


def test_images_of_one_class_cannot_tell_whether_a_model_listens(made):
    test = npx.load_data("digits").test.take(20)
    test.labels[:] = 4
    assert health_of(npx.load(made / "class"), test) == {}
    assert health_of(npx.load(made / "coder"), test) != {}


def test_an_auto_encoder_has_its_three_figures(run):
    status, out, _ = run("evaluate", "coder")
    assert status == 0
    assert out[0].endswith("image itself, which is not counted)")
    assert out[1].startswith("health (179 images, codes not counted): ")
    assert "with none" in out[1]
    assert "IGNORES" not in out[1]


def test_no_figure_of_an_auto_encoder_stands_without_saying_that_its_code_is_not_counted(made, run):
    _, out, _ = run("evaluate", "coder")
    assert all("not counted" in line for line in out)
    assert "not counted" in json.loads(run("evaluate", "coder", "--json")[1][0])["given"]
    _, out, _ = run("runs", str(made))
    marked = [line.split()[0] for line in out[1:-1] if "*" in line]
    assert (marked, out[-1]) == (["coder"], "* given its own code of each image, not counted")
    assert run("train", str(made / "coder.yaml"), "--out", "again", "--train.steps", "1")[0] == 0
    assert "not counted" in npx.checkpoint.read_config("again")["evaluation"]["given"]


def test_an_auto_encoder_needs_no_labels(run):
    np.save("images.npy", np.random.default_rng(0).integers(0, 17, (40, 8, 8), dtype=np.uint8))
    status, out, _ = run("evaluate", "coder", "--data", "images.npy")
    assert (status, len(out)) == (0, 2)


def test_an_unconditional_model_has_no_health(run):
    _, out, _ = run("evaluate", "plain")
    assert len(out) == 1
    assert "given" not in out[0]


@pytest.mark.parametrize("name", ["class", "strict", "coder", "map"])
def test_conditional_models_are_audited(run, name):
    status, out, _ = run("audit", name, "--probes", "1", "--json")
    assert status == 0
    assert json.loads(out[0])["causal"] is True


# Reconstructions


def test_reconstructions_are_draws_from_the_codes_of_the_images(made, run):
    words = ["--images", "digits", "--images-count", "3", "--count", "2", "--seed", "5"]
    assert run("reconstruct", "coder", *words, "--out", "a.npy")[0] == 0
    codes = npx.load(made / "coder").codes(first_images(3)).detach().repeat_interleave(2, 0)
    decodings = np.load("a.npy")
    np.testing.assert_array_equal(decodings, drawn(made, "coder", codes, 5).reshape(3, 2, 1, 8, 8))
    assert (decodings[:, 0] != decodings[:, 1]).any((1, 2, 3)).all()


def test_a_sheet_of_reconstructions_is_input_and_decodings(run):
    words = ["--images", "digits", "--images-count", "2", "--count", "3", "--out", "a.png"]
    status, out, _ = run("reconstruct", "coder", *words)
    assert (status, out) == (0, ["3 decodings of each of 2 images in a.png"])
    with Image.open("a.png") as picture:
        assert picture.size == (4 * 74 + 2, 2 * 74 + 2 + 18)


def test_reconstruction_takes_arrays(run):
    np.save("in.npy", first_images(2).numpy())
    assert run("reconstruct", "coder", "--images", "in.npy", "--out", "a.npy")[0] == 0
    assert np.load("a.npy").shape == (2, 4, 1, 8, 8)


# Wrong uses: the words, the status, the text of the one line

SHEET = "--images digits --known top --out a.png"
BAD = [
    ("sample plain --label 3 --out a.png", 2, "label must be left out: the model takes no class"),
    ("sample coder --label 3 --out a.png", 2, "label must be left out"),
    ("sample map --out a.png", 2, "takes maps (B, 1, h, w), which only the Python functions can"),
    ("sample class --label 10 --out a.png", 2, "label must be 0..9, or -1 for unknown, got 10"),
    ("sample class --label 3 -2 --out a.png", 2, "label must be 0..9, or -1 for unknown, got -2"),
    ("sample strict --label -1 --out a.png", 2, "label must be 0..9, got -1"),
    ("sample strict --label 3 12 --out a.png", 2, "label must be 0..9, got 12"),
    (
        "sample class --config one.yaml",
        2,
        "one.yaml: label must be a list, each an integer or none",
    ),
    ("sample class --label x --out a.png", 2, 'unable to convert "x" into int'),
    ("sample class --label --out a.png", 2, "parameter --label requires at least 1 element"),
    (f"complete plain --label 3 {SHEET}", 2, "label must be left out"),
    (f"complete coder --label 3 {SHEET}", 2, "label must be left out"),
    (f"complete class --label 10 {SHEET}", 2, "label must be 0..9, or -1 for unknown, got 10"),
    (f"complete map {SHEET}", 2, "which only the Python functions can give"),
    ("evaluate plain --classify", 2, "must be conditional on a class label alone, got one given n"),
    ("evaluate coder --classify", 2, "class label alone, got one given a code of 6 numbers"),
    ("evaluate class --data bare.npy --classify", 2, "data must have labels to classify, bare"),
    ("evaluate class --data bare.npy", 2, "data must have labels for a class-conditional model"),
    ("evaluate few", 2, "condition must be labels 0..4, got 0..9"),
    ("evaluate map", 2, "condition_of must be given: the model takes maps (B, 1, h, w)"),
    ("reconstruct class --images digits --out a.png", 2, "must be an auto-encoder, got gated-pix"),
    ("reconstruct plain --images digits --out a.png", 2, "must be an auto-encoder, got pixelcnn"),
    ("reconstruct coder --images digits --out a.gif", 2, "out must end in .png or .npy, got"),
    ("reconstruct coder --images digits --count 0 --out a.png", 2, "count must be at least 1"),
    ("reconstruct coder --images digits --images-count 0 --out a.png", 2, "images-count must be"),
    ("reconstruct coder --images digits --temperature 0 --out a.png", 2, "temperature must be"),
    ("reconstruct coder --images digits --method fast --out a.png", 2, "no method 'fast'"),
    ("reconstruct coder --images absent.npy --out a.png", 2, "got 'absent.npy': no such file"),
    ("reconstruct coder --out a.png", 2, "--images requires an argument"),
    ("reconstruct absent --images digits --out a.png", 2, "there is no model 'absent'"),
]


@pytest.mark.parametrize(("words", "status", "text"), BAD, ids=lambda value: str(value))
def test_a_wrong_use_is_answered_in_one_line(run, words, status, text):
    np.save("bare.npy", np.arange(20 * 64, dtype=np.uint8).reshape(20, 8, 8) % 17)
    Path("one.yaml").write_text("label: 3\nout: a.png\n")
    found, out, err = run(*words.split())
    assert (found, out) == (status, [])
    assert len(err) == 1, err
    assert err[0].startswith("nextpixel: error: ")
    assert text in err[0]
    assert not Path("a.png").exists()
