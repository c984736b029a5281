"""The engine's own mathematics, its refusals, and its bits on other processors."""

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numba import njit

from nextpixel import build, sample
from nextpixel.codec import scans as coding
from nextpixel.engine.cpu import executor as engine
from nextpixel.engine.cpu import kernels
from nextpixel.errors import NextPixelError
from nextpixel.models import PixelModel
from nextpixel.program.ops import conv
from nextpixel.runtime import compiling, device, vectors
from nextpixel.runtime.doubles import eights, logarithm, one_minus_exp, tanh_double
from nextpixel.runtime.numbers import log64, minus_expm1, tanh64


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def tiny(**options) -> PixelModel:
    model = build(
        "gated-pixelcnn", seed=0, shape=(1, 6, 6), levels=3, features=4, layers=1, **options
    )
    torch.nn.init.normal_(model.last.weight, generator=rng())
    return model


@njit
def exponential_of(x):
    return vectors.exp64(x)


@njit
def gate_of(x, y, out):
    vectors.gate16(out, 0, x, 0, y, 0)


def test_exp64_is_exact_to_fifteen_digits():
    for x in np.linspace(-699, 0, 2001):
        assert exponential_of(x) == pytest.approx(math.exp(x), rel=1e-15)
    assert exponential_of(0.0) == 1.0
    assert 0 < exponential_of(-1e9) < 1e-300
    assert math.isnan(exponential_of(math.nan))


@njit
def weigh_eight(weights, p, largest, temperature):
    vectors.weigh8(weights, 0, p, 0, largest, temperature)


def test_eight_weights_have_the_bits_of_one():
    drawn = np.random.default_rng(0).uniform(-800, 0, (200, 8))
    for p in drawn:
        weights = np.zeros(8)
        weigh_eight(weights, p, p.max(), 0.7)
        assert weights.tolist() == [exponential_of((x - p.max()) / 0.7) for x in p]


def test_log64_is_exact_to_fifteen_digits():
    for x in [1e-250, 1e-9, 0.3, 0.5, 0.999, 1.001, 1.42, 2.0, 17.5, 256.0]:
        assert log64(x) == pytest.approx(math.log(x), rel=1e-15)
    assert (log64(1.0), math.isnan(log64(0.0))) == (0.0, True)


@pytest.mark.parametrize(("eight", "one"), [
    (eights(lambda x, _, __, ___: logarithm(x)), log64),
    (eights(lambda x, _, __, ___: one_minus_exp(x)), lambda x: minus_expm1_of(x)),
    (eights(lambda x, _, __, ___: tanh_double(x)), lambda x: tanh64_of(x)),
])  # fmt: skip
def test_eight_numbers_have_the_bits_of_one(eight, one):
    @njit
    def made(p):
        eight(p, 8, 0, 0, 0, 0.0)

    rng = np.random.default_rng(0)
    for x in [
        *np.exp(rng.uniform(-40, 3, (200, 8))),
        np.array([0.25, 0.5, 1, 1.41, 0.71, 2, 3, 9]),
    ]:
        p = np.array([*x, *x])
        made(p)
        assert p[8:].tolist() == [one(number) for number in x]
    p = np.full(16, np.nan)
    p[8:] = 0.0
    made(p)
    assert np.isnan(p).all()


@njit
def minus_expm1_of(x):
    return minus_expm1(x)


@njit
def tanh64_of(x):
    return tanh64(x)


def test_the_gate_is_exact_to_float32():
    """tanh(x) sigmoid(y) against float64, small and large, and what is no number stays so."""
    grid = np.concatenate([np.linspace(-100, 100, 96), np.linspace(-1, 1, 96), [0, -0.0] * 16])
    for y in grid[::7]:
        for part in grid.astype(np.float32).reshape(-1, 16):
            out = np.zeros(16, np.float32)
            gate_of(part, np.full(16, y, np.float32), out)
            exact = np.tanh(part.astype(float)) / (1 + np.exp(-np.float64(np.float32(y))))
            assert np.abs(out - exact).max() < 2.5e-7
    gate_of(np.full(16, np.nan, np.float32), np.zeros(16, np.float32), out)
    assert np.isnan(out).all()


PARTS_OF_CODE = [
    (kernels.scan_rows, "vectors.py"),
    (conv.conv_step, "products.py"),
    (conv.conv_step, "base.py"),
    (kernels.scan_rows, "base.py"),
    (coding.read_row, "kernels.py"),
    (coding.read_row, "layout.py"),
    (coding.read_row, "vectors.py"),
]


@pytest.mark.parametrize(
    ("function", "name"), PARTS_OF_CODE, ids=lambda of: getattr(of, "__name__", of)
)
def test_the_stamp_of_kept_code_minds_every_file_that_it_is_made_of(function, name, monkeypatch):
    before, read = compiling._stamp(function.py_func), Path.read_bytes
    assert function._cache._cache_file._source_stamp == before
    monkeypatch.setattr(Path, "read_bytes", lambda path: read(path) + b"#" * (path.name == name))
    assert compiling._stamp(function.py_func) != before


def test_kept_code_is_compiled_again_when_its_stamp_is_another(monkeypatch):
    """numba minds the file of the function only; the stamp is what its index is compared with."""
    sample(tiny(), 1, rng=rng())
    cache_file = kernels.scan_rows._cache._cache_file
    assert cache_file._load_index()
    monkeypatch.setattr(cache_file, "_source_stamp", "another")
    assert not cache_file._load_index()


def test_weights_that_are_no_numbers_are_refused_by_name():
    model = tiny()
    with torch.no_grad():
        model.layers[0].out.weight[0, 0] = torch.nan
    with pytest.raises(NextPixelError, match=r"the weights layers.0.out.weight of gated-pixelcnn"):
        sample(model, 1, rng=rng())


def test_predictions_that_overflow_are_refused():
    model = tiny()
    with torch.no_grad():
        model.last.weight.fill_(3e38)
        model.last.bias.fill_(3e38)
    with pytest.raises(NextPixelError, match="predicts what is no number"):
        sample(model, 1, rng=rng())


def test_a_model_without_a_program_falls_back_and_says_so(monkeypatch):
    model = tiny()
    expected = sample(model, 4, rng=rng())
    monkeypatch.setattr(type(model), "lower", PixelModel.lower)
    with pytest.warns(UserWarning, match="gated-pixelcnn has no program"):
        assert torch.equal(sample(model, 4, rng=rng()), expected)
    with pytest.raises(NotImplementedError, match="gated-pixelcnn cannot be lowered"):
        model.lower()


def test_where_compiled_code_cannot_be_kept_it_still_runs_and_says_so_once(monkeypatch):
    def no_folder(*, cache: bool = False, **options: object):
        if cache:
            raise RuntimeError("no locator available for file 'kernels.py'")
        return lambda function: function

    monkeypatch.setattr(compiling, "njit", no_folder)
    compiling._warn.cache_clear()
    with pytest.warns(UserWarning, match=r"cannot be kept \('kernels.py'\)") as seen:
        made = [compiling.compiled(abs) for _ in range(2)]
    assert [function(-3) for function in made] == [3, 3]
    assert len(seen) == 1


def test_a_full_disk_does_not_stop_compiled_code(monkeypatch):
    def full(path, mode="r", *rest):
        raise OSError(28, "No space left on device")

    compiling._warn.cache_clear()
    with pytest.warns(UserWarning, match="No space left on device"):
        compiling._forgiving(full)("x", "w")


def test_images_that_do_not_fit_in_memory_are_refused_with_the_estimate(monkeypatch):
    """40 bytes for each of 36 sub-pixels: uniforms, levels and what is known of them."""
    monkeypatch.setattr(device, "available", lambda device: 40 * 36 * 1000 - 1)
    sample(tiny(), 1, rng=rng())
    message = "1000 images of 6x6 needs 1 MiB of memory, and 1 MiB are available; draw fewer"
    with pytest.raises(NextPixelError, match=message):
        sample(tiny(), 1000, rng=rng())


def test_an_engine_that_does_not_fit_in_memory_is_refused(monkeypatch):
    model = tiny()
    needed = engine.prepared(model).memory(4)
    monkeypatch.setattr(device, "available", lambda device: needed)
    sample(model, 4, rng=rng())
    with pytest.raises(NextPixelError, match="the scan of 5 images of 6x6 at a time needs"):
        sample(model, 5, rng=rng())


def test_a_system_that_does_not_say_how_much_memory_there_is_is_trusted(monkeypatch):
    monkeypatch.setattr(device, "available", lambda device: None)
    assert len(sample(tiny(), 2, rng=rng())) == 2


def test_the_scan_yields_rows_and_can_be_cancelled_between_them():
    seen = []

    class Cancelled(Exception):
        pass

    def on_row(row, levels):
        seen.append((row, levels[:, :, :row].clone()))
        if row == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        sample(tiny(), 2, rng=rng(), on_row=on_row)
    whole = sample(tiny(), 2, rng=rng())
    assert [row for row, _ in seen] == [1, 2, 3]
    assert all(torch.equal(part, whole[:, :, :row].long()) for row, part in seen)


SCRIPT = """
import hashlib, sys, torch
torch.set_num_threads(int(sys.argv[1]))
import nextpixel
from tests.laws.cases import CASES
from tests.test_engine import tiny
from nextpixel.heads.truncation import PLAIN
from nextpixel.nn import NO_EMBEDDING
from nextpixel.engine.cpu import executor as engine
count = int(sys.argv[2])
levels = torch.randint(0, 3, (16, 1, 6, 6), generator=torch.Generator().manual_seed(1))
known, uniforms = torch.ones_like(levels).bool(), torch.zeros(levels.shape).double()
names = "diagonal-whole-rows", "row-lstm", "snail-heads", "snail-pooled", "transformer"
for model in (tiny(), *(CASES[name].build(6, 6).float() for name in names)):
    archive = nextpixel.compress(model, levels % model.levels)
    print(hashlib.sha256(archive).hexdigest())
    parts = [
        engine.fill(
            model, part, part == part, part * 0.0, NO_EMBEDDING, truncation=PLAIN, on_row=None
        )[1]
        for part in (levels % model.levels).split(count)
    ]
    print(hashlib.sha256(torch.cat(parts).numpy().tobytes()).hexdigest())
"""


@pytest.mark.long
@pytest.mark.slow
def test_log_probabilities_and_archives_have_the_same_bits_on_other_processors(tmp_path):
    """Without AVX, with AVX2 and FMA, and as this machine is; 1 and 2 threads; batch 1, 3, 16.

    So have archives.
    """
    processors = {
        "generic": {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
        "avx2": {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma"},
        "native": {},
    }
    found = set()
    for name, variables in processors.items():
        for threads, count in ((1, 16), (2, 3), (1, 1)):
            folder = tmp_path / name
            done = subprocess.run(
                [sys.executable, "-c", SCRIPT, str(threads), str(count)],
                env={**os.environ, **variables, "NUMBA_CACHE_DIR": str(folder)},
                capture_output=True,
                text=True,
                check=True,
            )
            found.add(done.stdout)
    assert len(found) == 1
