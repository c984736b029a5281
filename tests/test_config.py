"""Settings are read strictly, and every refusal says where, what and what else."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from nextpixel.config import build as build_config
from nextpixel.config import check as check_config
from nextpixel.config import dotted, read_file
from nextpixel.config import merge as merge_sections
from nextpixel.config import section as read_section


@dataclass(frozen=True, kw_only=True)
class Walk:
    name: str
    steps: int = 10
    speed: float = 1.0
    pause: float | None = None
    loud: bool = False
    betas: tuple[float, float] = (0.9, 0.999)
    stops: tuple[int, ...] = ()
    gait: Literal["trot", "pace"] = "trot"
    map: Path | None = None

    def __post_init__(self):
        if self.steps < 1:
            raise ValueError(f"steps must be positive, got {self.steps}")


CONVERTED = [
    ("steps", "5", 5),
    ("speed", 2, 2.0),
    ("speed", "1e-3", 0.001),
    ("pause", None, None),
    ("pause", "none", None),
    ("pause", "3", 3.0),
    ("loud", "true", True),
    ("loud", "No", False),
    ("betas", [0, 0.99], (0.0, 0.99)),
    ("betas", "0,0.99", (0.0, 0.99)),
    ("betas", "[0, 0.99]", (0.0, 0.99)),
    ("stops", "", ()),
    ("stops", [1, 2, 3], (1, 2, 3)),
    ("gait", "pace", "pace"),
    ("map", "a/b", Path("a/b")),
]


@pytest.mark.parametrize(("key", "value", "expected"), CONVERTED)
def test_a_value_becomes_the_type_of_its_annotation(key, value, expected):
    walk = build_config(Walk, {"name": "w", key: value})
    assert getattr(walk, key) == expected
    assert type(getattr(walk, key)) is type(expected)


REFUSED = [
    ({"stepz": 1}, r"f: unknown key 'stepz'; did you mean 'steps'\?"),
    ({1: 1}, r"f: unknown key 1; known: betas"),
    ({"steps": True}, "f: steps must be an integer, got True"),
    ({"steps": 5.0}, r"f: steps must be an integer, got 5\.0"),
    ({"steps": "many"}, "f: steps must be an integer, got 'many'"),
    ({"steps": None}, "f: steps must be an integer, got None"),
    ({"steps": 0}, "f: steps must be positive, got 0"),
    ({"speed": "nan"}, "f: speed must be a number, got 'nan'"),
    ({"speed": 10**400}, "f: speed must be a number, got 1000"),
    ({"speed": [1]}, r"f: speed must be a number, got \[1\]"),
    ({"pause": "long"}, "f: pause must be a number or none, got 'long'"),
    ({"loud": 1}, "f: loud must be true or false, got 1"),
    ({"betas": [0.9]}, r"f: betas must be a list of 2 \(a number, a number\), got \[0\.9\]"),
    ({"betas": 0.9}, r"f: betas must be a list of 2"),
    ({"stops": [1, "x"]}, "f: stops must be a list, each an integer"),
    ({"gait": "tort"}, r"f: gait must be one of trot, pace, got 'tort'; did you mean 'trot'\?"),
    ({"name": 3}, "f: name must be text, got 3"),
    ({"map": 3}, "f: map must be a path or none, got 3"),
]


@pytest.mark.parametrize(("mapping", "text"), REFUSED, ids=str)
def test_a_wrong_setting_is_named_with_what_was_expected(mapping, text):
    with pytest.raises(ValueError, match=text):
        build_config(Walk, {"name": "w"} | mapping, "f")


def test_a_required_setting_is_asked_for():
    with pytest.raises(ValueError, match="f: name must be given"):
        build_config(Walk, {"steps": 5}, "f")


def test_check_lets_required_settings_be_missing():
    assert check_config(Walk, {"steps": "5"}) == {"steps": 5}


def test_later_settings_win_and_sections_merge():
    base = {"train": {"steps": 5, "seed": 0}, "title": "a"}
    merged = merge_sections(base, {"train": {"steps": 9}}, {"train": {"steps": 7}, "title": "b"})
    assert merged == {"train": {"steps": 7, "seed": 0}, "title": "b"}
    assert base["train"]["steps"] == 5


@pytest.mark.parametrize(
    "options", [{"train": "1", "train.steps": "5"}, {"train.steps": "5", "train": "1"}]
)
def test_a_name_cannot_be_section_and_setting(options):
    with pytest.raises(ValueError, match="train must be a section or a setting, not both"):
        dotted(options)


def test_a_section_must_be_a_mapping():
    with pytest.raises(ValueError, match=r"f: train must be a section of settings, got \[1\]"):
        read_section({"train": [1]}, "train", "f")


@pytest.mark.parametrize("key", ["train", "absent"])
def test_an_empty_or_absent_section_is_empty(key):
    assert read_section({"train": None}, key) == {}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "train:\n  steps: 5\n"),
        ("a.yml", "{train: {steps: 5}}"),
        ("a.toml", "[train]\nsteps = 5"),
    ],
)
def test_yaml_and_toml_are_read_by_their_suffix(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert read_file(tmp_path / name) == {"train": {"steps": 5}}


def test_an_empty_file_has_no_settings(tmp_path):
    (tmp_path / "a.yaml").write_text("# nothing\n")
    assert read_file(tmp_path / "a.yaml") == {}


MALFORMED = [
    ("a.yaml", b"train:\n  steps: [5\n", r"a\.yaml: malformed settings: line 3: "),
    ("a.yaml", b"a: 1\nb: 2\na: 3\n", "line 3: 'a' is given twice"),
    ("a.yaml", b"- 1\n- 2\n", r"a\.yaml, line 1: must be sections of settings, got \[1, 2\]"),
    ("a.yaml", b"just words\n", "must be sections of settings, got 'just words'"),
    ("a.yaml", b"a: \xff\n", "must be UTF-8 text"),
    ("a.yaml", b"a: \x01\n", "malformed settings: unacceptable character"),
    ("a.yaml", b"[" * 1200, "malformed settings"),
    ("a.yaml", b"a: 2020-99-99\n", "malformed settings: month must be"),
    ("a.toml", b"[train]\nsteps = \n", r"a\.toml: malformed settings: .*line 2"),
    ("a.json", b"{}", r"a\.json: a settings file must end in \.yaml, \.yml or \.toml"),
]


@pytest.mark.parametrize(("name", "content", "text"), MALFORMED)
def test_a_malformed_file_is_named_with_its_line(tmp_path, name, content, text):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=text):
        read_file(tmp_path / name)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"absent\.yaml: cannot be read \(No such file"):
        read_file(tmp_path / "absent.yaml")
