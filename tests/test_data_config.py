"""The data section of a config: checked once, and cheap to import."""

import subprocess
import sys

import pytest

from nextpixel.data.config import DataConfig


def test_a_name_is_all_that_is_needed():
    config = DataConfig(name="mnist")
    assert (config.levels, config.protocol, config.limit, config.seed) == (None, None, None, 0)


@pytest.mark.parametrize("protocol", ["threshold", "dynamic", "quantized", "levels"])
def test_every_protocol_is_accepted(protocol):
    assert DataConfig(name="mnist", protocol=protocol).protocol == protocol


@pytest.mark.parametrize("levels", [2, 256])
def test_the_ends_of_the_allowed_levels_are_accepted(levels):
    assert DataConfig(name="mnist", levels=levels).levels == levels


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"levels": 1}, "levels must be 2 to 65536, got 1"),
        ({"levels": 65537}, "levels must be 2 to 65536, got 65537"),
        ({"size": 0}, "size must be at least 1, got 0"),
        ({"validation": 0}, "validation must be at least 1, got 0"),
        ({"limit": 0}, "limit must be at least 1, got 0"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"protocol": "treshold"}, "protocol must be .* got 'treshold': did you mean 'threshold'"),
        ({"channels": "lst"}, "channels must be one of first, last, got 'lst': did you mean"),
        ({"flip": "vertical"}, "flip must be one of horizontal, dihedral, got 'vertical'"),
        ({"protocol": "static"}, "protocol must be .*: known: dynamic, levels, quantized"),
    ],
    ids=str,
)
def test_a_value_out_of_range_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        DataConfig(name="mnist", **options)


@pytest.mark.parametrize("value", [2.0, "2", True])
def test_a_number_that_is_no_integer_is_refused(value):
    with pytest.raises(TypeError, match=f"levels must be an integer, got {value!r}"):
        DataConfig(name="mnist", levels=value)


def test_the_config_and_the_package_import_no_torch():
    code = "import sys, nextpixel.data.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
