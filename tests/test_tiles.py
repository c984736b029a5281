"""Kernels of training on processors of other kinds, as far as this one can run their code."""

import os
import platform
import subprocess
import sys

import pytest

AVX2 = "+avx2,+avx,+fma,+sse4.2,+sse4.1,+ssse3,+sse3,+sse2,+sse,+popcnt"
KINDS = {"short registers": ("haswell", AVX2, 4), "no vectors to speak of": ("generic", "", 4)}


def run(code: list[str], name: str, features: str, folder: str) -> str:
    environment = os.environ | {
        "NUMBA_CPU_NAME": name,
        "NUMBA_CPU_FEATURES": features,
        "NUMBA_CACHE_DIR": folder,
    }
    done = subprocess.run(
        [sys.executable, *code], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="asks for x86 code")
@pytest.mark.parametrize("kind", KINDS)
def test_kernels_are_right_in_code_for_other_processors(kind, tmp_path):
    name, features, tile = KINDS[kind]
    code = "from nextpixel.accelerate.tiles import TILE; print(TILE)"
    assert int(run(["-c", code], name, features, str(tmp_path))) == tile
    tests = ["tests/test_chains.py", "tests/test_stacks.py", "-k", "float64 and (single or plain)"]
    said = run(["-m", "pytest", "-p", "no:cacheprovider", *tests], name, features, str(tmp_path))
    assert "passed" in said
