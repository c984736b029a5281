"""Cards, tables and records: what is printed of a model is what was recorded of it."""

import json
import re
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from nextpixel import checkpoint, recipes
from nextpixel.recipes import shipped
from nextpixel.recipes.shipped import Measured, Results

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "benchmarks"))

import cards  # noqa: E402
import record  # noqa: E402
import tables  # noqa: E402

NAMES = shipped.shipped_names()
MEASURED = [name for name in recipes.names() if name in Results.read().measured]
PARAMETERS = dict.fromkeys(recipes.names(), 5)
FIGURE = r"±|\d\.\d|\d (?:nats|bits)"
PLACE = record.Place("a machine", "2.0", "0123abc")


def measured(nats=1.0, **changes):
    found = Measured(
        nats=nats, standard_error=0.1, bits_per_dim=0.1, n=10, protocol="dynamic",
        data="mnist/test", conditioned_on="nothing", command="c", minutes=1.0, images=9,
        hardware="a machine", torch="2.0",
    )  # fmt: skip
    return replace(found, **changes)


def cells(table, label):
    row = next(line for line in table.splitlines() if line.startswith(f"| `{label}` |"))
    return [cell.strip() for cell in row.strip("|").split(" | ")]


# Cards


@pytest.mark.parametrize("name", NAMES)
def test_a_card_on_disk_is_what_the_script_would_write(name):
    assert (shipped.SHIPPED / name / shipped.CARD).read_text(encoding="utf-8") == cards.card(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_model_has_a_small_picture(name):
    path = shipped.SHIPPED / name / shipped.PICTURE
    assert path.stat().st_size < 2**16
    assert min(Image.open(path).size) > 100


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits17-gated", "mnist2-autoencoder"])
def test_a_picture_is_what_the_model_draws(name):
    kept = Image.open(shipped.SHIPPED / name / shipped.PICTURE)
    assert kept.tobytes() == cards.picture(name).tobytes()


def test_a_card_says_the_commit_or_that_there_is_none(monkeypatch):
    assert "| commit | not recorded |" in cards.card("mnist2-gated")
    results = Results.read()
    kept = replace(results.measured["mnist2-gated"], commit="0123abc", runs=(1.0, 2.0, 3.0))
    results.measured["mnist2-gated"] = kept
    monkeypatch.setattr(cards.Results, "read", lambda: results)
    assert "| commit | 0123abc |" in cards.card("mnist2-gated")
    assert "the median of 3 runs: 1.00, 2.00, 3.00 nats" in cards.card("mnist2-gated")


def test_the_two_lists_of_shipped_models_are_one():
    assert shipped.SHIPPED == checkpoint.SHIPPED
    assert checkpoint.shipped_names() == NAMES


# Tables


@pytest.mark.parametrize(
    ("page", "mark", "table"),
    [
        ("docs/results.md", "table", tables.results_table),
        ("README.md", "measured", tables.readme_table),
        ("docs/seeds.md", "loss of seed 002", tables.loss_table),
        ("docs/family.md", "family", tables.family_table),
        *(
            ("docs/seeds.md", f"seed {seed}", partial(tables.seed_table, seed))
            for seed in tables.SEEDS
        ),
    ],
)
def test_a_table_on_a_page_is_what_the_script_would_write(page, mark, table):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert f"<!-- {mark} -->\n{table(Results.read())}\n<!-- end of {mark} -->" in text


def test_every_recipe_has_a_row():
    nothing = Results(PARAMETERS, {})
    table = tables.results_table(nothing)
    seeds = "\n".join(tables.seed_table(seed, nothing) for seed in tables.SEEDS)
    for name in set(recipes.names()) - {"own-gray", "own-color"}:  # each has data of its user's
        assert cells(table, name)[3] == "not trained yet"
        if recipes.read(name).seed:
            assert cells(seeds, name)[2] == "not trained yet"


def test_the_page_of_the_seeds_has_no_figure_outside_of_its_tables():
    text = (ROOT / "docs" / "seeds.md").read_text(encoding="utf-8")
    written = re.sub(
        r"<!-- ((?:loss of )?seed \d+) -->.*?<!-- end of \1 -->|<http.*?>", "", text, flags=re.S
    )
    assert re.search(FIGURE, text)
    assert not re.search(FIGURE, written)


@pytest.mark.parametrize(
    "name",
    ["demo", "mnist-fast-class", "mnist256-fast-class", "mnist2-autoencoder", "mnist4-gated"],
)
def test_no_published_figure_stands_next_to_another_protocol_or_condition(name):
    assert tables.comparable(recipes.read(name)) == []


@pytest.mark.parametrize("name", MEASURED)
def test_the_protocol_of_a_recipe_is_the_one_it_was_measured_by(name):
    assert tables.protocol_of(recipes.read(name)) == Results.read().measured[name].protocol


def test_published_figures_have_a_source_and_one_unit():
    for rows in tables.published().values():
        for row in rows:
            assert row["source"].startswith("https://")
            assert ("nats" in row) != ("bits_per_dim" in row)


def test_a_page_without_marks_is_refused(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("no marks")
    with pytest.raises(SystemExit, match=r"page\.md must have the marks <!-- table -->"):
        tables.replace_between(page, "table", "text")


# Records


def test_of_several_seeds_the_median_is_recorded(monkeypatch):
    nats = {Path("a"): 3.0, Path("b"): 1.0, Path("c"): 2.0}
    monkeypatch.setattr(record, "measure", lambda _, folder, __: measured(nats[folder]))
    found, folder = record.measure_all("demo", list(nats), PLACE)
    assert (found.nats, found.runs, folder) == (2.0, (3.0, 1.0, 2.0), Path("c"))


def test_a_single_run_is_no_median(monkeypatch):
    monkeypatch.setattr(record, "measure", lambda *_: measured())
    assert record.measure_all("demo", [Path("a")], PLACE)[0].runs == ()


def test_two_runs_have_no_median():
    with pytest.raises(SystemExit, match="demo must have an odd number of runs, got 2"):
        record.measure_all("demo", [Path("a"), Path("b")], PLACE)


@pytest.mark.parametrize("word", ["demo", "dem=runs/x", "demo="])
def test_a_word_that_names_no_run_is_refused(word):
    with pytest.raises(SystemExit, match="must be RECIPE"):
        record.record(Results({}, {}), word, PLACE)


def test_a_variant_is_not_shipped_in_the_place_of_its_recipe(tmp_path):
    with pytest.raises(SystemExit, match="demo dense must be a recipe without a label"):
        record.ship("demo dense", tmp_path)


def test_what_a_run_changed_is_said_but_not_where_its_data_lay():
    config = json.loads((shipped.SHIPPED / "mnist256-fast" / "config.json").read_text())
    assert record.differences("mnist256-fast", config) == []
    config["data"] |= {"folder": "/home/me", "protocol": "dynamic"}
    config["training"]["seed"] = 2
    assert record.differences("mnist256-fast", config) == [
        "--data.protocol dynamic", "--data.folder DIR", "--train.seed 2"
    ]  # fmt: skip


def test_what_was_not_recorded_is_not_written():
    assert {"commit", "runs"}.isdisjoint(measured().as_dict())
    kept = json.loads(json.dumps(measured(commit="0123abc", runs=(1.0,)).as_dict()))
    assert (kept["commit"], kept["runs"]) == ("0123abc", [1.0])
