"""An archive gives back what went in, at the model's own price, whatever the model and batch."""

import io
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from nextpixel import build
from nextpixel.codec import archive
from nextpixel.codec.chunks import label_classes
from nextpixel.codec.container import open_archive, read_archive
from nextpixel.codec.reader import Reader
from nextpixel.codec.tensors import TensorSource, compress, decompress
from nextpixel.errors import NextPixelError
from nextpixel.models import PixelModel
from nextpixel.nn import Value, take
from tests.laws.cases import CASES, GATED, params
from tests.laws.coding import (
    HEIGHT,
    WIDTH,
    assert_comes_back,
    condition_to_decode,
    ideal_bits,
    varied_condition,
)
from tests.laws.test_exactness import random_levels

IMAGES = 12
OVERHEAD = 64 + 5
"""Bytes over the model's own: a header of at most 64 with one line of index, 5 of the stream."""
LINE = 12
"""Bytes of index a chunk."""


# Laws of every registered model


@dataclass(frozen=True)
class Coded:
    """A model, what it was given, and what came of it."""

    model: PixelModel
    levels: Tensor
    condition: Value | None
    ideal: float
    report: archive.Report
    blob: bytes

    def images(self) -> list[tuple[np.ndarray, int | None]]:
        condition = condition_to_decode(self.model, self.condition)
        return list(Reader(read_archive(self.blob), self.model, condition).images())


@pytest.fixture(scope="module", params=params(CASES))
def coded(request: pytest.FixtureRequest) -> Coded:
    """A case in float32, as the engine runs it, and images that each have another condition."""
    model = request.param.build(HEIGHT, WIDTH).float()
    levels, condition = random_levels(model, IMAGES), varied_condition(model, IMAGES)
    stream = io.BytesIO()
    report = archive.write(stream, model, TensorSource(levels, condition))
    ideal = ideal_bits(model, levels, condition)
    return Coded(model, levels, condition, ideal, report, stream.getvalue())


def test_what_was_compressed_comes_back_with_its_labels(coded):
    images, labels = zip(*coded.images(), strict=True)
    assert (np.stack(images) == coded.levels.numpy()).all()
    has_labels = label_classes(coded.model)
    assert list(labels) == (coded.condition.tolist() if has_labels else [None] * IMAGES)


def test_it_takes_the_bits_that_the_model_says_and_a_trace(coded):
    assert 8 * len(coded.blob) <= 1.001 * coded.ideal + 8 * OVERHEAD
    assert coded.report.payload_bytes <= 1.001 * coded.ideal / 8 + 5
    assert coded.report.header_bytes <= 64
    assert len(coded.blob) == coded.report.payload_bytes + coded.report.header_bytes


def test_the_bits_along_the_scan_are_those_of_one_pass(coded):
    assert coded.report.ideal_bits == pytest.approx(coded.ideal, abs=1e-4 * IMAGES)


def test_images_each_in_a_chunk_come_back_and_take_an_index(coded):
    blob = assert_comes_back(coded.model, coded.levels[:3], first_of(coded, 3), per_chunk=1)
    ideal = ideal_bits(coded.model, coded.levels[:3], first_of(coded, 3))
    assert 8 * len(blob) <= 1.001 * ideal + 8 * (OVERHEAD + 2 * (LINE + 5))


def first_of(coded: Coded, count: int) -> Value | None:
    return take(coded.condition, slice(count), torch.device("cpu"))


@pytest.mark.parametrize("name", ["plain", "gated-colors-class", "gated-label-and-map"])
def test_any_number_of_images_in_a_chunk_decodes(name):
    model = CASES[name].build(HEIGHT, WIDTH).float()
    levels, condition = random_levels(model, 20), varied_condition(model, 20)
    blobs = [
        assert_comes_back(model, levels, condition, per_chunk=count) for count in (1, 3, 20, 256)
    ]
    assert len(blobs[0]) > len(blobs[1]) > len(blobs[2])
    payloads = [read_archive(blob).payload(0) for blob in blobs[2:]]
    assert payloads[0] == payloads[1]


SOME = [
    "mix-both", "plain-map", "residual-dependent-colors", "gated-class-gate", "gated-label-and-map",
]  # fmt: skip


@pytest.mark.parametrize("name", SOME)
def test_any_number_of_threads_writes_the_same_bytes_and_reads_them(name, monkeypatch):
    model = CASES[name].build(HEIGHT, WIDTH).float()
    levels, condition = random_levels(model, IMAGES), varied_condition(model, IMAGES)
    blobs = {}
    for threads in (1, 2):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        blobs[threads] = assert_comes_back(model, levels, condition, per_chunk=5)
    assert blobs[1] == blobs[2]
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    back = decompress(model, blobs[2], condition_to_decode(model, condition))
    assert torch.equal(back.long(), levels)


@pytest.mark.parametrize("name", SOME)
def test_the_bytes_of_a_chunk_do_not_depend_on_its_neighbours(name):
    model = CASES[name].build(HEIGHT, WIDTH).float()
    levels, condition = random_levels(model, 9), varied_condition(model, 9)
    whole = read_archive(compress(model, levels, condition, per_chunk=3))
    for chunk in range(3):
        part = slice(3 * chunk, 3 * chunk + 3)
        own = take(condition, part, torch.device("cpu"))
        alone = read_archive(compress(model, levels[part], own, per_chunk=3))
        assert whole.payload(chunk) == alone.payload(0)


class Watched(io.BytesIO):
    """A stream that remembers which bytes were read of it."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.seen: set[int] = set()

    def read(self, size: int | None = -1) -> bytes:
        start = self.tell()
        data = super().read(size)
        self.seen.update(range(start, start + len(data)))
        return data


@pytest.mark.parametrize(
    ("first", "last", "chunks"),
    [(0, 12, {0, 1, 2}), (0, 1, {0}), (4, 5, {0}), (4, 6, {0, 1}), (5, 10, {1}), (11, 12, {2}),
     (9, 9, set())],
)  # fmt: skip
def test_a_range_reads_its_chunks_and_no_others(first, last, chunks):
    model = CASES["gated-class-gate"].build(HEIGHT, WIDTH).float()
    levels, condition = random_levels(model, IMAGES), varied_condition(model, IMAGES)
    stream = Watched(compress(model, levels, condition, per_chunk=5))
    opened = open_archive(stream)
    assert stream.seen == set(range(opened.header_bytes))
    found = list(Reader(opened, model, condition_to_decode(model, condition)).images(first, last))
    assert len(found) == last - first
    for number, (image, _) in enumerate(found, first):
        assert (image == levels[number].numpy()).all()
    wanted = [range(opened.starts[chunk], opened.starts[chunk + 1]) for chunk in chunks]
    assert stream.seen == set(range(opened.header_bytes)).union(*wanted)


@pytest.mark.parametrize(("first", "last"), [(-1, 3), (4, 3), (0, 13)])
def test_a_range_that_is_not_there_is_refused(first, last):
    model = CASES["plain"].build(HEIGHT, WIDTH).float()
    blob = compress(model, random_levels(model, IMAGES))
    with pytest.raises(ValueError, match=r"range must lie in 0:12, the images there are, got"):
        decompress(model, blob, first=first, last=last)


# What is refused


def a_gated() -> PixelModel:
    return CASES["gated-class-gate"].build(HEIGHT, WIDTH).float()


ZEROS, LABELS = torch.zeros(2, 1, 6, 7).long(), torch.zeros(2).long()
REFUSED = {
    "floats": (ZEROS.float(), LABELS, TypeError, r"tensor of integers 0\.\.1"),
    "colors": (ZEROS.repeat(1, 3, 1, 1), LABELS, ValueError, r"shape \(B, 1, H, W\), got \(2, 3"),
    "one image": (ZEROS[0, 0], LABELS, ValueError, r"shape \(B, 1, H, W\), got \(6, 7\)"),
    "no rows": (ZEROS[:, :, :0], LABELS, ValueError, r"shape \(B, 1, H, W\)"),
    "too high": (ZEROS + 2, LABELS, ValueError, r"levels must be 0\.\.1 .*, got 2\.\.2"),
    "too low": (ZEROS - 1, LABELS, ValueError, r"levels must be 0\.\.1 .*, got -1\.\.-1"),
    "no labels": (ZEROS, None, ValueError, r"condition must be given: labels \(B,\), 0\.\.2"),
    "no integers": (ZEROS, LABELS.float(), TypeError, "condition must be labels, integers"),
    "no such label": (ZEROS, LABELS + 3, ValueError, r"condition must be labels 0\.\.2, got 3"),
    "negative": (ZEROS, LABELS - 1, ValueError, r"condition must be labels 0\.\.2, got -1"),
    "too many": (ZEROS, LABELS.repeat(2), ValueError, "one entry an image, 2, got 4"),
    "too few": (ZEROS, LABELS[:1], ValueError, "one entry an image, 2, got 1"),
}


@pytest.mark.parametrize("wrong", REFUSED)
def test_what_is_not_the_models_is_refused(wrong):
    levels, condition, error, text = REFUSED[wrong]
    for per_chunk in (1, 256):
        with pytest.raises(error, match=text):
            compress(a_gated(), levels, condition, per_chunk=per_chunk)


def test_labels_that_are_hidden_in_training_are_needed_to_compress():
    """A model that can do without a label still keeps one: an archive has no code for none."""
    condition = [{"classes": 3, "form": "gate", "dropout": 0.5}]
    model = build("gated-pixelcnn", seed=0, shape=(1, 6, 7), levels=2, **GATED, condition=condition)
    with pytest.raises(ValueError, match=r"condition must be labels 0\.\.2, got -1"):
        compress(model, ZEROS, LABELS - 1)
    with pytest.raises(TypeError, match=r"condition must be labels \(B,\)"):
        compress(model, ZEROS)


def test_a_condition_that_the_archive_does_not_hold_is_needed_to_decode():
    model = CASES["gated-vector"].build(HEIGHT, WIDTH).float()
    condition = varied_condition(model, 4)
    blob = compress(model, random_levels(model, 4), condition)
    with pytest.raises(ValueError, match=r"condition must be given: vectors \(B, 2\)"):
        decompress(model, blob)
    with pytest.raises(ValueError, match="one entry an image, 4, got 8"):
        decompress(model, blob, condition.repeat(2, 1))
    with pytest.raises(NextPixelError, match="chunk 0"):
        decompress(model, blob, condition + 1)


def test_predictions_that_overflow_are_refused_by_name():
    model = CASES["gated"].build(HEIGHT, WIDTH).float()
    with torch.no_grad():
        model.last.weight.fill_(3e38)
        model.last.bias.fill_(3e38)
    with pytest.raises(NextPixelError, match="gated-pixelcnn predicts what is no number"):
        compress(model, random_levels(model, 3))
