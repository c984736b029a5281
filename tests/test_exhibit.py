"""The exhibit without a browser: what is written, what is refused, and how modules are joined."""

import re
from pathlib import Path

import pytest
import torch

import nextpixel as npx
from nextpixel.cli.app import main
from nextpixel.errors import NextPixelError
from nextpixel.exhibit import build
from nextpixel.exhibit.linking import linked
from nextpixel.exhibit.tables import check, packed
from nextpixel.nn import ClassCondition

SOURCES = sorted(build.HERE.glob("*"))
SCRIPTS = [path for path in SOURCES if path.suffix == ".js"]
SMALL = {"shape": (1, 6, 5), "levels": 2, "features": 4, "layers": 1}
NAMESPACES = {"http://www.w3.org/2000/svg"}
"""Addresses that are names only, and that nobody asks."""


def text(path):
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The folder of a model of one's own."""
    folder = tmp_path_factory.mktemp("models") / "small"
    torch.manual_seed(0)
    npx.save(npx.build("gated-pixelcnn", **SMALL), folder)
    return folder


@pytest.fixture(scope="module")
def written(small, tmp_path_factory):
    """The exhibit of a small model."""
    out = tmp_path_factory.mktemp("exhibits") / "small"
    assert main(["exhibit", "--out", str(out), "--model", str(small)]) == 0
    return out


def test_an_exhibit_is_a_handful_of_plain_files(written):
    assert {path.name for path in written.iterdir()} == set(build.FILES)


@pytest.mark.parametrize("name", build.FILES)
def test_a_file_of_an_exhibit_names_no_other_host(written, name):
    found = set(re.findall(r"(?:https?:)?//[\w-]+\.\w[\w./-]*", text(written / name)))
    assert found <= NAMESPACES


def test_scripts_are_classic_ones_that_load_nothing(written):
    script = text(written / "exhibit.js")
    assert not re.search(r"^\s*(import|export)\b", script, re.MULTILINE)
    assert not re.search(r"\b(fetch|XMLHttpRequest|importScripts|eval)\b", script)
    page = text(written / "index.html")
    assert re.findall(r"<script[^>]*>", page) == [
        '<script src="model.js" defer>',
        '<script src="exhibit.js" defer>',
    ]
    assert not re.search(r"<style|\s(style|on\w+)=", page)


def test_the_exhibit_of_the_default_model_stays_below_5_mb(tmp_path, capsys):
    assert main(["exhibit", "--out", str(tmp_path)]) == 0
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert size < 5_000_000
    assert f"{size / 1e6:.1f} MB" in capsys.readouterr().out


def test_an_exhibit_is_replaced_by_another(small, written):
    before = text(written / "model.js")
    (written / "model.js").write_text("an older one")
    assert main(["exhibit", "--out", str(written), "--model", str(small)]) == 0
    assert text(written / "model.js") == before


@pytest.mark.parametrize(
    ("name", "content"),
    [("notes.txt", "mine"), ("index.html", "<title>my page</title>")],
)
def test_a_folder_of_other_files_is_left_alone(small, tmp_path, capsys, name, content):
    (tmp_path / name).write_text(content)
    assert main(["exhibit", "--out", str(tmp_path), "--model", str(small)]) == 1
    assert "out must be empty or hold an exhibit, and" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert text(tmp_path / name) == content


def test_an_exhibit_with_a_file_of_the_reader_is_left_alone(small, written, capsys):
    extra = written / "notes.txt"
    extra.write_text("mine")
    assert main(["exhibit", "--out", str(written), "--model", str(small)]) == 1
    assert "holds other files" in capsys.readouterr().err
    extra.unlink()


def test_a_file_in_place_of_the_folder_is_refused(small, tmp_path, capsys):
    (tmp_path / "out").write_text("")
    assert main(["exhibit", "--out", str(tmp_path / "out"), "--model", str(small)]) == 1
    assert "out must be a folder, and" in capsys.readouterr().err


REFUSED = {
    "color-mnist-fast": "images of one color",
    "mnist-orders": "the raster order only",
    "mnist-any-order": "the raster order only",
    "mnist-mixture": "it has no program",
    "mnist-snail": "no step for the operation concat-elu",
    "mnist-transformer": "no step for the operation layer-norm",
    "mnist-row-lstm": "no step for the operation cell",
    "mnist2-autoencoder": "the page can give a class only",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_model_that_the_page_cannot_carry_out_is_refused(tmp_path, capsys, name):
    assert main(["exhibit", "--out", str(tmp_path / "out"), "--model", name]) == 1
    error = capsys.readouterr().err
    assert "cannot be exhibited: " in error
    assert REFUSED[name] in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("gated-pixelcnn", {"shape": (1, 65, 5)}, "up to 64x64 pixels"),
        ("gated-pixelcnn", {"levels": 257}, "up to 256 levels"),
        ("gated-pixelcnn", {"levels": 9, "head": "logistic"}, "the head logistic"),
        (
            "gated-pixelcnn",
            {"condition": (ClassCondition(3), ClassCondition(2))},
            "can give a class only",
        ),
    ],
)
def test_what_a_page_cannot_show_or_draw_is_refused(kind, options, words):
    with pytest.raises(NextPixelError, match=words):
        check(npx.build(kind, **{**SMALL, **options}))


def test_a_model_too_large_for_a_page_is_refused(tmp_path, capsys):
    folder = tmp_path / "large"
    model = npx.build("gated-pixelcnn", **{**SMALL, "features": 128, "layers": 8})
    npx.save(model, folder)
    assert main(["exhibit", "--out", str(tmp_path / "out"), "--model", str(folder)]) == 1
    assert "large cannot be exhibited: its page would take " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_own_data_are_not_made_public(small, monkeypatch, tmp_path):
    def refuse(*_):
        raise AssertionError("data were read")

    monkeypatch.setattr("nextpixel.cli.images.data_of", refuse)
    assert main(["exhibit", "--out", str(tmp_path), "--model", str(small)]) == 0


def test_arrays_are_packed_as_little_endian_bytes():
    array = torch.tensor([1.0, -2.0]).numpy()
    assert packed(array) == packed(array.astype(">f4")) == "AACAPwAAAMA="


def test_modules_run_after_those_they_import():
    sources = {
        "top.js": 'import { a } from "./a.js";\nimport { b } from "./b.js";\n',
        "a.js": 'import { b } from "./b.js";\nexport const a = b;\n',
        "b.js": "export const b = 1;\n",
    }
    script = linked("top.js", sources)
    assert script.index("const b = 1") < script.index("const a = b") < script.rindex("= m")
    assert script.count("const b = 1") == 1


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ('import { c } from "./b.js";\n', "imports 'c', which b.js does not export"),
        ('import { c } from "./c.js";\n', "there is no module c.js"),
        ('import { a } from "./a.js";\n', "in a circle"),
        ('import b from "./b.js";\n', "by names only, got 'import b from"),
        ('import { b as c } from "./b.js";\n', "imports 'b as c'"),
        ("export default 3;\n", "by names only, got 'export default"),
        ("export let n = 3;\n", "by names only, got 'export let"),
        ('const c = await import("./b.js");\n', "by names only"),
    ],
)
def test_other_forms_of_modules_are_refused(source, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        linked("a.js", {"a.js": source, "b.js": "export const b = 1;\n"})


def test_the_stations_are_a_part_of_the_page_where_the_playground_has_them():
    playground = build.sources_of(build.PLAYGROUND)
    without = {name: source for name, source in playground.items() if name != build.IDEAS}
    station = "export class IdeasView { constructor() { this.mark = 1234567; } }\n"
    assert "const Stations = null;" in build.script_of_page(without)
    script = build.script_of_page(without | {build.IDEAS: station})
    assert "this.mark = 1234567" in script
    assert "const Stations = IdeasView;" in script


def test_a_module_of_the_playground_of_the_same_name_is_another_one():
    playground = build.sources_of(build.PLAYGROUND)
    assert build.script_of_page({**playground, "bars.js": "export const x = 1;\n"})


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_a_source_is_short_in_lines_and_columns(path):
    lines = text(path).splitlines()
    assert len(lines) <= 400
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_says_what_it_is_and_uses_what_it_imports(path):
    source = text(path)
    assert source.startswith("/** ")
    for names in re.findall(r"import \{([^}]*)\} from", source):
        for name in (word.strip() for word in names.split(",") if word.strip()):
            assert len(re.findall(rf"\b{name}\b", source)) > 1, f"{name} is not used"
    assert not re.search(r"\b(innerHTML|alert\(|confirm\(|prompt\(|eval\()", source)


def test_every_source_is_asked_for():
    named = "".join(map(text, SOURCES)) + text(Path(build.__file__))
    assert [path.name for path in SOURCES if path.name not in named] == []
