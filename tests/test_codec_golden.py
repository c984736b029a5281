"""The format stays what it is: the same bytes of the same images, on every processor."""

import io
import os
import subprocess
import sys

import pytest
import torch
from llvmlite.binding import get_host_cpu_features

import nextpixel as npx
from nextpixel.codec import archive
from nextpixel.codec.container import read_archive
from nextpixel.codec.files import PictureSource
from nextpixel.codec.header import fingerprint
from nextpixel.codec.reader import Reader
from nextpixel.codec.tensors import compress, decompress
from nextpixel.errors import NextPixelError
from tests import fixed
from tests.laws.cases import CASES

NAMES = list(fixed.MODELS)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_images_are_the_same_bytes_as_ever(name):
    assert fixed.archive(name) == fixed.golden(name)


@pytest.mark.parametrize("name", NAMES)
def test_an_old_file_gives_its_images(name):
    assert torch.equal(decompress(fixed.model(name), fixed.golden(name)).long(), fixed.images(name))


def test_an_old_file_gives_its_labels():
    reader = Reader(read_archive(fixed.golden("labels")), fixed.model("labels"))
    assert [label for _, label in reader.images()] == fixed.labels("labels").tolist()


def test_an_old_file_of_a_later_version_is_refused_by_version():
    data = bytearray(fixed.golden("levels"))
    data[4] = 2
    with pytest.raises(NextPixelError, match="format version 2, this reads 1"):
        decompress(fixed.model("levels"), bytes(data))


@pytest.mark.parametrize("name", NAMES)
def test_one_weight_changed_is_another_model(name):
    model = fixed.model(name)
    last = list(model.parameters())[-1]
    with torch.no_grad():
        last.view(-1)[-1] = torch.nextafter(last.view(-1)[-1], torch.tensor(9.0))
    found, own = fingerprint(model).hex(), fingerprint(fixed.model(name)).hex()
    with pytest.raises(NextPixelError, match=f"made with model {own}, this is model {found}"):
        decompress(model, fixed.golden(name))


def test_another_option_is_another_model_though_its_weights_are_the_same():
    """A dropout is no weight, and the engine has none: options count as they are written."""
    kind, shape, levels, options = fixed.MODELS["labels"]
    prints = {
        fingerprint(fixed.build(kind, shape=shape, levels=levels, seed=0, **{**options, **other}))
        for other in ({}, {"dropout": 0.5}, {"condition": [{"classes": 3, "form": "bias"}]})
    }
    assert len(prints) == 3


def test_an_option_at_its_default_leaves_no_trace_in_the_fingerprint():
    """What a later version adds is at its default in every older model."""
    kind, shape, levels, options = fixed.MODELS["labels"]
    models = [
        fixed.build(kind, shape=shape, levels=levels, seed=0, **{**options, **more})
        for more in ({}, {"dropout": 0.0, "position": False})
    ]
    assert fingerprint(models[0]) == fingerprint(models[1])


def test_in_float64_it_is_the_same_model():
    """The engine computes in float32 either way."""
    model = fixed.model("labels").double()
    blob = compress(model, fixed.images("labels"), fixed.labels("labels"), per_chunk=2)
    assert blob == fixed.golden("labels")


SCRIPT = """
import hashlib, sys, torch
torch.set_num_threads(int(sys.argv[1]))
import nextpixel
from nextpixel.codec.bands import BandCoder
from nextpixel.codec.container import read_archive
from nextpixel.codec.reader import Reader
from nextpixel.codec.tensors import compress, decompress
from nextpixel.engine.cpu.window import prepare_window
from nextpixel.nn import ClassCondition
from tests import fixed
from tests.laws.cases import CASES

def counted(tensor):
    return ((torch.arange(tensor.numel()) * 37 % 101 - 50) / 71).view(tensor.shape)

def condition_of(model, rng):
    given = model.conditioner.example(5, rng)
    parts = given if isinstance(given, tuple) else (given,)
    parts = tuple(counted(p) if p is not None and p.is_floating_point() else p for p in parts)
    return parts if isinstance(given, tuple) else parts[0]

for name in fixed.MODELS:
    print(name, hashlib.sha256(fixed.archive(name)).hexdigest())
    back = decompress(fixed.model(name), fixed.golden(name))
    assert torch.equal(back.long(), fixed.images(name))
for name, case in CASES.items():
    model, rng = case.build(6, 7).float(), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(counted(parameter))
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.copy_(counted(module.running_mean))
                module.running_var.copy_(1 + counted(module.running_var).abs())
    levels = torch.randint(0, model.levels, (5, *model.shape), generator=rng)
    blob = compress(model, levels, condition_of(model, rng), per_chunk=2)
    print(name, hashlib.sha256(blob).hexdigest())
    if name == "windowed-colors":
        coder = BandCoder(model, prepare_window(model), learns=True)
        for kind, colors in (("learned", 3), ("learned-gray", 1)):
            picture = torch.randint(0, model.levels, (colors, 40, 50), generator=rng).numpy()
            payload = coder.encode([picture]).payload
            print(kind, hashlib.sha256(payload).hexdigest())
            assert (coder.decode(payload, [picture.shape])[0][0] == picture).all()
for name in ("photo", "photo-adapt"):
    opened = read_archive((fixed.GOLDEN / f"{name}.npx").read_bytes())
    ((image, _),) = Reader(opened, nextpixel.load("photo")).images()
    print(name, hashlib.sha256(image.tobytes()).hexdigest())
"""
LEARNED = ["learned", "learned-gray", "photo", "photo-adapt"]
OLDEST = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"}
PROCESSORS = {
    "generic": {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", **OLDEST},
    "native": {},
}
if get_host_cpu_features().get("avx512f"):  # else native is this one
    PROCESSORS["avx2"] = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma"}


def tried(name, folder):
    """What a processor writes, by threads."""
    own = {"NUMBA_CACHE_DIR": str(folder)} if PROCESSORS[name] else {}  # native is compiled already
    found, environment = {}, {**os.environ, **PROCESSORS[name], **own}
    for threads in ("1", "2"):
        words = [sys.executable, "-c", SCRIPT, threads]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
        found[threads] = dict(line.split() for line in done.stdout.splitlines())
    return found


@pytest.mark.slow
def test_every_processor_and_number_of_threads_writes_the_same_bytes(tmp_path):
    """Each reads the stored files, which every other one writes to the byte.

    One test for all of them, so that only one worker compiles for each processor.
    """
    tries = [hashes for name in PROCESSORS for hashes in tried(name, tmp_path / name).values()]
    first, *others = tries
    assert set(first) == {*NAMES, *CASES, *LEARNED}
    for hashes in others:
        assert hashes == first


@pytest.mark.parametrize(("name", "adapt"), [("photo", False), ("photo-adapt", True)])
def test_a_crop_of_a_photograph_has_the_bytes_it_had(name, adapt):
    """Of NASA's portrait of Eileen Collins, public domain; by the shipped net of this version."""
    model, picture = npx.load("photo"), fixed.GOLDEN / "astronaut.png"
    written, made = (fixed.GOLDEN / f"{name}.npx").read_bytes(), io.BytesIO()
    source = PictureSource(picture, model)
    archive.write(made, model, source, adapt=adapt)
    assert made.getvalue() == written
    ((image, _),) = Reader(read_archive(written), model).images()
    assert (image == source.image(0)).all()
