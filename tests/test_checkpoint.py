"""A model comes back as it was saved, or not at all."""

import json
import os

import pytest
import torch
from safetensors.torch import load_file, save_file

import nextpixel as npx
from nextpixel import checkpoint
from nextpixel.checkpoint import replace_file, replace_files
from tests.laws.cases import CASES, condition_for, params

CONFIG, WEIGHTS = "config.json", "model.safetensors"


def build(**options):
    options = {"features": 4, "layers": 2, "side": 3, "batch_norm": True, **options}
    return npx.build("pixelcnn", shape=(1, 4, 5), levels=3, **options)


@pytest.fixture
def folder(tmp_path):
    """A saved model."""
    npx.save(build(), tmp_path / "model")
    return tmp_path / "model"


def edit_config(folder, **changes):
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | changes))


def edit_model(folder, **changes):
    described = json.loads((folder / CONFIG).read_text())["model"]
    edit_config(folder, model=described | changes)


def edit_tensors(folder, edit):
    tensors = load_file(folder / WEIGHTS)
    edit(tensors)
    save_file(tensors, folder / WEIGHTS)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("case", params(CASES))
def test_a_loaded_model_gives_the_same_log_probs(tmp_path, case, dtype):
    model = case.build(5, 6).to(dtype)
    rng = torch.Generator().manual_seed(2)
    levels = torch.randint(model.levels, (3, *model.shape), generator=rng)
    expected = model.log_prob(levels, condition_for(model, 3))
    npx.save(model, tmp_path)
    found = npx.load(tmp_path).log_prob(levels, condition_for(model, 3))
    assert found.dtype == expected.dtype == dtype
    assert torch.equal(found, expected)


@pytest.mark.parametrize("case", params(CASES))
def test_a_loaded_model_is_of_the_same_kind_and_settings(tmp_path, case):
    model = case.build(5, 6)
    npx.save(model, tmp_path)
    loaded = npx.load(tmp_path)
    assert type(loaded) is type(model)
    assert (loaded.config, loaded.shape, loaded.levels) == (
        model.config,
        model.shape,
        model.levels,
    )


def test_a_loaded_model_is_in_evaluation_mode(tmp_path):
    npx.save(build().train(), tmp_path)
    assert not any(module.training for module in npx.load(tmp_path).modules())


def test_saving_leaves_the_model_as_it_was(tmp_path):
    model = build().train().to(memory_format=torch.channels_last)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    npx.save(model, tmp_path)
    assert model.training
    assert model.kernels()[1].is_contiguous(memory_format=torch.channels_last)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_the_description_holds_what_is_known_of_the_model(tmp_path):
    known = {"data": {"name": "digits"}, "training": {"steps": 3}, "evaluation": {"nats": 1.5}}
    npx.save(build(), tmp_path, **known)
    config = npx.checkpoint.read_config(tmp_path)
    assert config["format"] == checkpoint.FORMAT
    assert {name: config[name] for name in known} == known
    assert config["model"]["name"] == "pixelcnn"
    assert (config["model"]["shape"], config["model"]["levels"]) == ([1, 4, 5], 3)
    assert config["model"]["options"]["features"] == 4


def test_masks_are_not_saved(folder):
    assert not [name for name in load_file(folder / WEIGHTS) if "mask" in name]


def test_names_on_disk_are_those_of_the_first_models(tmp_path):
    """Attributes of a model may get other names; files, archives and fingerprints never do."""
    options = {**CASES["gated"].options, "layers": 0, "skip": True, "condition_all": True}
    condition = [npx.ClassCondition(3), npx.ClassCondition(3, form="input")]
    gate = [npx.ClassCondition(3, form="gate")]
    model = npx.build(
        "gated-pixelcnn", shape=(1, 4, 4), levels=2, condition=[*condition, *gate], **options
    )
    npx.save(model, tmp_path / "gated")
    found = [
        name for name in load_file(tmp_path / "gated" / checkpoint.WEIGHTS) if "layers" in name
    ]
    places = ["first.hears_h", "first.hears_v", "first.hears_link", "first.hears_skip"]
    each = [
        f"{place}.{at}"
        for place in [*places, "hears_squash"]
        for at in ("behind.layers.0", "before.layers.1")
    ]
    last = ["last_after.layers.0", "last_before.layers.1"]
    gates = ["first.hears_h.gate.layers.2"]
    assert sorted(found) == sorted(f"{name}.weight" for name in [*each, *last, *gates])
    model = npx.build(
        "pixelcnn", shape=(1, 4, 4), levels=2, layers=1, pointwise=0, condition=condition
    )
    npx.save(model, tmp_path / "plain")
    found = [
        name for name in load_file(tmp_path / "plain" / checkpoint.WEIGHTS) if "layers" in name
    ]
    each = ["hidden.0.conv.before.layers.1.weight", "hidden.0.conv.behind.layers.0.weight"]
    assert sorted(found) == each


def test_a_model_is_saved_over_another(folder):
    other = build(features=6)
    npx.save(other, folder)
    assert npx.load(folder).config == other.config


def test_an_unknown_name_names_what_there_is(tmp_path, monkeypatch):
    for name in ("small", "large"):
        npx.save(build(), tmp_path / "shipped" / name)
    npx.save(build(), tmp_path / "runs" / "mine")
    monkeypatch.setattr(checkpoint, "SHIPPED", tmp_path / "shipped")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        ValueError, match=r"no model 'faces': .* shipped model; known: large, small"
    ):
        npx.load("faces")
    with pytest.raises(ValueError, match=r"no model 'smal': .*; did you mean 'small'"):
        npx.load("smal")
    with pytest.raises(ValueError, match=r"no model 'runs/mien': .*; did you mean 'runs/mine'"):
        npx.load("runs/mien")


def test_a_shipped_model_is_found_by_its_name(tmp_path, monkeypatch):
    npx.save(build(features=6), tmp_path / "shipped" / "small")
    monkeypatch.setattr(checkpoint, "SHIPPED", tmp_path / "shipped")
    assert npx.load("small").config.features == 6


def test_a_folder_wins_over_a_shipped_model_of_its_name(tmp_path, monkeypatch):
    npx.save(build(features=6), tmp_path / "shipped" / "small")
    npx.save(build(features=5), tmp_path / "small")
    monkeypatch.setattr(checkpoint, "SHIPPED", tmp_path / "shipped")
    monkeypatch.chdir(tmp_path)
    assert npx.load("small").config.features == 5


def test_a_folder_without_a_description_is_no_model(tmp_path):
    with pytest.raises(npx.NextPixelError, match=r"is no model folder: it has no config\.json"):
        npx.load(tmp_path)


def test_a_file_is_no_model(folder):
    with pytest.raises(npx.NextPixelError, match=r"config\.json is no model folder"):
        npx.load(folder / CONFIG)


def test_a_folder_without_weights_says_so(folder):
    (folder / WEIGHTS).unlink()
    text = r"model\.safetensors cannot be read: No such file or directory"
    with pytest.raises(npx.NextPixelError, match=text):
        npx.load(folder)


DESCRIPTIONS = {
    "garbage": ("{not json", "cannot be read as JSON: "),
    "empty": ("", "cannot be read as JSON: "),
    "list": ("[1, 2]", "is no description of a nextpixel model"),
    "no-format": ('{"model": {}}', "is no description of a nextpixel model"),
    "format-of-words": ('{"format": "1"}', "is no description of a nextpixel model"),
    "newer": ('{"format": 2}', "has format 2, and this version reads format 1; update nextpixel"),
    "no-model": ('{"format": 1}', "describes no model of this version: lacks 'model'"),
    "model-of-words": ('{"format": 1, "model": "x"}', ".*: model must be a section, got 'x'"),
}


@pytest.mark.parametrize(("content", "text"), DESCRIPTIONS.values(), ids=DESCRIPTIONS.keys())
def test_a_description_that_is_none_is_refused(folder, content, text):
    (folder / CONFIG).write_text(content)
    with pytest.raises(npx.NextPixelError, match=rf"config\.json {text}") as caught:
        npx.load(folder)
    assert "\n" not in str(caught.value)


SECTIONS = {
    "unknown": ({"modle": {}}, "unknown key 'modle'; did you mean 'model'"),
    "data-of-words": ({"data": "mnist"}, "data must be a section, got 'mnist'"),
    "unknown-in-model": ({"model": {"condition": 10}}, "model: unknown key 'condition'"),
    "nothing-in-model": ({"model": {}}, "lacks 'name'"),
}


@pytest.mark.parametrize(("changes", "text"), SECTIONS.values(), ids=SECTIONS.keys())
def test_a_description_with_other_sections_is_refused(folder, changes, text):
    edit_config(folder, **changes)
    with pytest.raises(npx.NextPixelError, match=f"describes no model of this version: {text}"):
        npx.load(folder)


@pytest.mark.parametrize("name", ["data", "training", "evaluation"])
def test_a_description_that_lacks_a_section_is_refused(folder, name):
    config = json.loads((folder / CONFIG).read_text())
    del config[name]
    (folder / CONFIG).write_text(json.dumps(config))
    with pytest.raises(npx.NextPixelError, match=f"of this version: lacks '{name}'"):
        npx.load(folder)


def test_a_description_that_is_no_text_is_refused(folder):
    (folder / CONFIG).write_bytes(b"\xff\xfe\x00{")
    with pytest.raises(npx.NextPixelError, match=r"config\.json cannot be read as JSON"):
        npx.load(folder)


OPTIONS = {
    "unknown": ({"feature": 4}, r"model\.options: unknown key 'feature'; did you mean 'features'"),
    "type": ({"features": "four"}, r"model\.options: features must be an integer, got 'four'"),
    "value": ({"side": 4}, "side must be odd"),
    "negative": ({"features": -4}, "describes no model of this version"),
    "too-large": ({"features": 10**6}, "describes no model of this version: .*allocate"),
}


@pytest.mark.parametrize(("options", "text"), OPTIONS.values(), ids=OPTIONS.keys())
def test_an_option_that_the_model_does_not_know_is_refused(folder, options, text):
    edit_model(folder, options=options)
    with pytest.raises(npx.NextPixelError, match=rf"config\.json.*{text}"):
        npx.load(folder)


SIZES = {
    "name": ({"name": "pixelcn"}, "there is no model 'pixelcn'; did you mean 'pixelcnn'"),
    "levels": ({"levels": 1}, "levels must be 2 to 65536, got 1"),
    "levels-type": ({"levels": "3"}, "describes no model of this version"),
    "shape": ({"shape": [1, 4]}, r"shape must be \(colors, height, width\)"),
    "shape-type": ({"shape": 4}, "describes no model of this version"),
    "options-type": ({"options": [4]}, "describes no model of this version"),
}


@pytest.mark.parametrize(("changes", "text"), SIZES.values(), ids=SIZES.keys())
def test_a_model_that_cannot_be_built_is_refused(folder, changes, text):
    edit_model(folder, **changes)
    with pytest.raises(npx.NextPixelError, match=text):
        npx.load(folder)


BIAS = next(name for name in build().state_dict() if name.endswith("bias"))
TENSORS = {
    "missing": (lambda tensors: tensors.pop(BIAS), f"lacks {BIAS}"),
    "unknown": (lambda tensors: tensors.update(extra=torch.zeros(1)), "has an unknown extra"),
    "shape": (
        lambda tensors: tensors.update({BIAS: torch.zeros(5)}),
        rf"{BIAS} has shape \(5,\), not \(4,\)",
    ),
    "integers": (
        lambda tensors: tensors.update({BIAS: torch.zeros(4, dtype=torch.int64)}),
        rf"{BIAS} has numbers of type torch\.int64",
    ),
    "mixed": (
        lambda tensors: tensors.update({BIAS: torch.zeros(4, dtype=torch.float64)}),
        r"mixes number types \(torch\.float32, torch\.float64\)",
    ),
}


@pytest.mark.parametrize(("edit", "text"), TENSORS.values(), ids=TENSORS.keys())
def test_tensors_that_are_not_the_models_are_refused(folder, edit, text):
    edit_tensors(folder, edit)
    with pytest.raises(npx.NextPixelError, match=rf"model\.safetensors.*{text}"):
        npx.load(folder)


def test_weights_of_another_size_of_the_model_are_refused(folder):
    edit_model(folder, options={"features": 5, "layers": 2, "side": 3, "batch_norm": True})
    with pytest.raises(npx.NextPixelError, match=r"does not fit its config\.json: .*has shape"):
        npx.load(folder)


DAMAGES = {
    "cut": lambda content: content[:-7],
    "cut-in-header": lambda content: content[:30],
    "longer": lambda content: content + b"0",
    "empty": lambda content: b"",
    "foreign": lambda content: b"\x89PNG\r\n\x1a\n" + bytes(100),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_weights_that_are_no_whole_safetensors_file_are_refused(folder, damage):
    path = folder / WEIGHTS
    path.write_bytes(damage(path.read_bytes()))
    text = r"model\.safetensors is no whole safetensors file"
    with pytest.raises(npx.NextPixelError, match=text) as caught:
        npx.load(folder)
    assert "\n" not in str(caught.value)


@pytest.fixture
def failing_disk(monkeypatch):
    """Whatever is written cannot be brought to the disk."""

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)


def test_a_file_that_cannot_be_replaced_stays_as_it_was(tmp_path, failing_disk):
    (tmp_path / "old").write_text("old")
    with pytest.raises(npx.NextPixelError, match=r"^cannot write .*old: No space left on device$"):
        replace_file(tmp_path / "old", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert (tmp_path / "old").read_text() == "old"


def test_files_that_belong_together_are_replaced_together_or_not(tmp_path):
    (tmp_path / "first").write_text("old")
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(npx.NextPixelError, match=r"cannot write .*second"):
        replace_files({tmp_path / "first": b"new", tmp_path / "file" / "second": b"new"})
    assert (tmp_path / "first").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "first"]


def test_a_model_that_cannot_be_saved_leaves_the_one_before(folder, failing_disk):
    before = npx.load(folder).config
    with pytest.raises(npx.NextPixelError, match=r"cannot write .*model\.safetensors"):
        npx.save(build(features=6), folder)
    assert npx.load(folder).config == before


def test_a_folder_below_a_file_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(npx.NextPixelError, match=r"cannot write .*: Not a directory$"):
        npx.save(build(), tmp_path / "file" / "model")


def test_a_folder_in_the_place_of_a_file_stays(tmp_path):
    (tmp_path / CONFIG / "inside").mkdir(parents=True)
    with pytest.raises(npx.NextPixelError, match=r"cannot write .*config\.json: Is a directory"):
        replace_file(tmp_path / CONFIG, b"{}")
    assert [path.name for path in tmp_path.iterdir()] == [CONFIG]
