"""Requests made up from the description of the addresses get answers that it describes."""

import subprocess
import sys

import pytest

from tests import playgrounds

pytest.importorskip("schemathesis", reason="schemathesis makes the requests")

EXAMPLES = 20


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The address of a playground of small models."""
    folders = playgrounds.make_models(tmp_path_factory.mktemp("models"))
    with playgrounds.served(folders.values(), train_seconds=0.1) as (home, _):
        yield home


@pytest.mark.slow
def test_every_answer_is_one_that_the_description_tells_of(home, tmp_path):
    # A schema cannot say how long base64 must be for its shape, or which names there are: of what
    # it allows, some is refused with 404 or 422.
    options = ["--seed", "1", "--generation-deterministic", "--max-examples", str(EXAMPLES)]
    options += ["--checks", "all", "--exclude-checks", "positive_data_acceptance", "--no-color"]
    words = ["-m", "schemathesis.cli", "run", home + "openapi.json", *options]
    run = subprocess.run([sys.executable, *words], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
