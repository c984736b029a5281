"""Benchmarks for machines that are seldom at hand are rehearsed on this one."""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def rehearse(*options: str) -> dict:
    command = [sys.executable, "benchmarks/sampling.py", "--device", "cuda", "--rehearse"]
    paths = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [*command, "--rounds", "1", *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_the_gpu_benchmark_of_sampling_takes_up_where_it_stopped(tmp_path):
    file = tmp_path / "figures.json"
    first = rehearse("--batches", "1", "--out", str(file))
    again = rehearse("--batches", "1", "2", "--out", str(file))
    assert again["results"][: len(first["results"])] == first["results"]
    assert len(again["results"]) == 2 * len(first["results"])
    for row in first["results"]:
        assert row["sub_pixels_unlike_engine"] == row["sub_pixels_unlike_recompute"] == 0
        assert row["images_per_s"] > 0
        assert row["gb_per_s"] > 0


@pytest.mark.slow
@pytest.mark.long
def test_what_a_gpu_is_wanted_for_is_done_once_and_packed(tmp_path):
    def run() -> list[dict]:
        words = [str(tmp_path), "--rehearse", "--stages", "training", "seeds"]
        command = [sys.executable, "benchmarks/gpu.py", *words]
        subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
        return json.loads((tmp_path / "stages.json").read_text())

    outcomes = run()
    assert [outcome["name"] for outcome in outcomes] == ["training", "seeds"]
    assert all(set(outcome["statuses"].values()) == {0} for outcome in outcomes)
    with tarfile.open(tmp_path / "runs-1.tar") as archive:
        names = archive.getnames()
    assert "shapes2-pixelcnn/model.safetensors" in names
    assert not any("resume" in name for name in names)
    assert run() == outcomes
