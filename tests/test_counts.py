"""The house style in figures: lengths of functions, parameters, words that were replaced."""

import runpy
from pathlib import Path

COUNTS = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "counts.py"))
LIMITS = COUNTS["LIMITS"]


def test_most_functions_are_short():
    found = COUNTS["lengths"]()
    assert {name: found[name] for name in ("median", "p90") if found[name] > LIMITS[name]} == {}


def test_no_function_is_long():
    assert COUNTS["long_functions"]() == []


def test_no_function_takes_many_parameters():
    assert COUNTS["crowded_functions"]() == []


def test_words_that_were_replaced_are_gone():
    found = [f"{hit.place}: {hit.word} -> {hit.now}" for hit in COUNTS["hits"]()]
    assert not found, "\n" + "\n".join(found)


def test_words_are_found_in_parts_of_names_and_not_in_other_words():
    pattern = COUNTS["_pattern"](COUNTS["Word"]("told|hears?", "condition"))
    seen = "told is_told toldRows ToldRows rowsTold TOLD_ROWS Hears hear_all"
    assert len(pattern.findall(seen)) == len(seen.split())
    assert pattern.findall("foretold tolder Hearsay shears") == []
