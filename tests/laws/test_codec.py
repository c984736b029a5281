"""An archive gives back what went in, at the model's own price, whatever the model and batch."""

import io
import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from torch import Tensor

from nextpixel import build
from nextpixel.codec import archive, kernels
from nextpixel.codec.archive import Reader
from nextpixel.codec.chunks import ChunkCoder, label_classes
from nextpixel.codec.container import open_archive, read_archive
from nextpixel.codec.frequency import frequencies
from nextpixel.codec.tensors import TensorSource, compress, decompress
from nextpixel.errors import NextPixelError
from nextpixel.models import PixelModel
from nextpixel.nn import Value, take
from nextpixel.sampling.choosing import weigh
from tests.laws.cases import CASES, GATED, RESIDUAL, disturb
from tests.laws.test_exactness import random_levels

IMAGES, HEIGHT, WIDTH = 12, 6, 7
OVERHEAD = 64 + 5
"""Bytes beside the model's own: a header of at most 64 with one line of index, 5 of the stream."""
LINE = 12
"""Bytes of index a chunk."""


def told_apart(model: PixelModel, count: int) -> Value | None:
    """A condition that differs from image to image; None where the model takes none."""
    return model.conditioner.example(count, torch.Generator().manual_seed(5))


def given_again(model: PixelModel, condition: Value | None) -> Value | None:
    """What `decompress` must be told: nothing if the archive holds it."""
    return None if label_classes(model) else condition


def ideal_bits(model: PixelModel, levels: Tensor, condition: Value | None) -> float:
    """Of one pass in float64, labels at the same cost each."""
    with torch.inference_mode():
        bits = -float(model.double().log_prob(levels, condition).sum()) / math.log(2)
    model.float()
    classes = label_classes(model)
    return bits + (len(levels) * math.log2(classes) if classes else 0.0)


def assert_comes_back(
    model: PixelModel, levels: Tensor, condition: Value | None = None, **options: int
) -> bytes:
    blob = compress(model, levels, condition, **options)
    back = decompress(model, blob, given_again(model, condition))
    assert back.dtype == torch.uint8
    assert torch.equal(back.long(), levels)
    return blob


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
        given = given_again(self.model, self.condition)
        return list(Reader(read_archive(self.blob), self.model, given).images())


@pytest.fixture(scope="module", params=CASES.values(), ids=CASES.keys())
def coded(request: pytest.FixtureRequest) -> Coded:
    """A case in float32, as the engine runs it, and images of which each is told another thing."""
    model = request.param.build(HEIGHT, WIDTH).float()
    levels, condition = random_levels(model, IMAGES), told_apart(model, IMAGES)
    stream = io.BytesIO()
    report = archive.write(stream, model, TensorSource(levels, condition))
    ideal = ideal_bits(model, levels, condition)
    return Coded(model, levels, condition, ideal, report, stream.getvalue())


def test_what_was_compressed_comes_back_with_its_labels(coded):
    images, labels = zip(*coded.images(), strict=True)
    assert (np.stack(images) == coded.levels.numpy()).all()
    told = label_classes(coded.model)
    assert list(labels) == (coded.condition.tolist() if told else [None] * IMAGES)


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
    levels, condition = random_levels(model, 20), told_apart(model, 20)
    blobs = [
        assert_comes_back(model, levels, condition, per_chunk=count) for count in (1, 3, 20, 256)
    ]
    assert len(blobs[0]) > len(blobs[1]) > len(blobs[2])
    payloads = [read_archive(blob).payload(0) for blob in blobs[2:]]
    assert payloads[0] == payloads[1]


SOME = ["plain-map", "residual-dependent-colors", "gated-class-gate", "gated-label-and-map"]


@pytest.mark.parametrize("name", SOME)
def test_any_number_of_threads_writes_the_same_bytes_and_reads_them(name, monkeypatch):
    model = CASES[name].build(HEIGHT, WIDTH).float()
    levels, condition = random_levels(model, IMAGES), told_apart(model, IMAGES)
    blobs = {}
    for threads in (1, 2):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        blobs[threads] = assert_comes_back(model, levels, condition, per_chunk=5)
    assert blobs[1] == blobs[2]
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    back = decompress(model, blobs[2], given_again(model, condition))
    assert torch.equal(back.long(), levels)


@pytest.mark.parametrize("name", SOME)
def test_the_bytes_of_a_chunk_do_not_depend_on_its_neighbours(name):
    model = CASES[name].build(HEIGHT, WIDTH).float()
    levels, condition = random_levels(model, 9), told_apart(model, 9)
    whole = read_archive(compress(model, levels, condition, per_chunk=3))
    for chunk in range(3):
        part = slice(3 * chunk, 3 * chunk + 3)
        given = take(condition, part, torch.device("cpu"))
        alone = read_archive(compress(model, levels[part], given, per_chunk=3))
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
    levels, condition = random_levels(model, IMAGES), told_apart(model, IMAGES)
    stream = Watched(compress(model, levels, condition, per_chunk=5))
    opened = open_archive(stream)
    assert stream.seen == set(range(opened.header_bytes))
    found = list(Reader(opened, model, given_again(model, condition)).images(first, last))
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


# Integer tables


@njit
def entries_of(p, weights, entries):
    kernels.tabulate(weights, weigh(p, p.max(), 1.0, weights), entries)


def assert_the_same_table(p: np.ndarray) -> None:
    room = np.zeros((3, len(p) + 8))  # weights are made in eights
    logits, weights, entries = room[:, : len(p)]
    logits[:] = p
    entries_of(logits, weights, entries)
    assert (entries + 1 == frequencies(weights[None])[0]).all()
    assert entries.sum() == kernels.PARTS - len(p)
    assert entries.min() >= 0


LEVELS = (2, 3, 4, 17, 255, 256)


@pytest.mark.parametrize("size", [1.0, 60.0, 1e4])
def test_the_compiled_table_is_that_of_the_rule(size):
    rng = np.random.default_rng(0)
    for levels in LEVELS:
        for _ in range(20):
            assert_the_same_table(rng.normal(0, size, levels).astype(np.float32).astype(float))


@pytest.mark.parametrize("levels", LEVELS)
def test_the_compiled_table_is_that_of_the_rule_at_the_extremes(levels):
    one = np.zeros(levels)
    one[levels // 2] = 1
    for size in (0.0, 1e-7, 60.0, 1e4, 3e38):
        for p in (one * size, one * -size, np.linspace(-size, size, levels), np.sign(one - 0.5)):
            assert_the_same_table(p)


@settings(derandomize=True, deadline=None, max_examples=100, database=None)
@given(st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=2, max_size=256))
def test_the_compiled_table_is_that_of_the_rule_for_any_logits(logits):
    assert_the_same_table(np.array(logits))


# Any number of levels and colors, any size


def a_model(name: str, shape: tuple[int, int, int], levels: int, *, position: bool) -> PixelModel:
    colors = shape[0]
    options = {
        "pixelcnn": {"features": 2 * colors, "layers": 1, "side": 3, "pointwise": 1},
        "residual-pixelcnn": {**RESIDUAL, "features": 2 * colors, "inner": colors, "blocks": 1,
                              "head_features": 2 * colors, "position": position},
        "gated-pixelcnn": {**GATED, "features": 2 * colors, "layers": 1,
                           "head_features": 2 * colors, "position": position},
    }[name]  # fmt: skip
    return disturb(build(name, shape=shape, levels=levels, **options))


NAMES = ["pixelcnn", "residual-pixelcnn", "gated-pixelcnn"]
SIDES = st.one_of(st.integers(1, 9), st.integers(1, 64))


def draw_and_try(data: st.DataObject) -> None:
    colors, levels = data.draw(st.integers(1, 3)), data.draw(st.integers(2, 256))
    own, size = (tuple(data.draw(SIDES) for _ in range(2)) for _ in range(2))
    own = data.draw(st.sampled_from([own, size]))
    name, position = data.draw(st.sampled_from(NAMES)), data.draw(st.booleans())
    model = a_model(name, (colors, *own), levels, position=position)
    count = data.draw(st.integers(0, 3))
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, levels, (count, colors, *size), generator=rng)
    assert_comes_back(model, images, per_chunk=data.draw(st.sampled_from([1, 2, 256])))


@settings(derandomize=True, deadline=None, max_examples=6, database=None)
@given(st.data())
def test_any_levels_colors_and_sizes_come_back(data):
    draw_and_try(data)


@pytest.mark.slow
@settings(derandomize=True, deadline=None, max_examples=300, database=None)
@given(st.data())
def test_many_levels_colors_and_sizes_come_back(data):
    draw_and_try(data)


@pytest.mark.parametrize("levels", [2, 256])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (64, 64)], ids=str)
def test_the_ends_of_what_is_possible_come_back(levels, size):
    colors = 1 if size == (64, 64) else 3
    model = a_model("gated-pixelcnn", (colors, *size), levels, position=False)
    assert_comes_back(model, random_levels(model, 1))


def test_no_image_at_all_comes_back():
    model = CASES["gated"].build(HEIGHT, WIDTH).float()
    assert decompress(model, compress(model, random_levels(model, 0))).shape == (0, 1, 6, 7)
    tied = CASES["gated-skip-position"].build(HEIGHT, WIDTH).float()
    assert_comes_back(tied, torch.zeros(0, 1, 9, 10, dtype=torch.long))


@pytest.mark.parametrize("value", [0, 255])
def test_images_that_the_model_holds_for_all_but_certain_cost_next_to_nothing(value):
    """60 nats for one level at each pixel: a table of one part for all others."""
    model = build("pixelcnn", shape=(1, 16, 16), levels=256, features=2, layers=1, side=3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        next(p for p in reversed(list(model.parameters())) if p.ndim == 1)[value] = 60.0
    images = torch.full((4, 1, 16, 16), value)
    assert len(assert_comes_back(model, images)) < 64
    unlikely = 255 - images
    assert len(assert_comes_back(model, unlikely)) < 1.01 * 4 * 256 * 24 / 8 + 64


@pytest.mark.parametrize("size", [(3, 2), (17, 20)], ids=str)
@pytest.mark.parametrize("name", ["plain", "residual-dependent-colors", "gated-class-gate"])
def test_a_model_that_is_not_tied_to_its_size_codes_another_whole(name, size):
    model = CASES[name].build(HEIGHT, WIDTH).float()
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, model.levels, (2, model.colors, *size), generator=rng)
    opened = read_archive(assert_comes_back(model, images, told_apart(model, 2)))
    assert opened.header.shape[1:] == size


@pytest.mark.parametrize(
    ("size", "tiles"), [((3, 2), 1), ((6, 8), 2), ((17, 20), 9), ((12, 14), 4)], ids=str
)
@pytest.mark.parametrize("name", ["residual-position", "gated-skip-position"])
def test_a_model_that_is_tied_to_its_size_codes_tiles(name, size, tiles):
    model = CASES[name].build(HEIGHT, WIDTH).float()
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, model.levels, (3, 1, *size), generator=rng)
    for per_chunk in (2, 256):
        opened = read_archive(assert_comes_back(model, images, per_chunk=per_chunk))
        assert opened.header.shape[1:] == (HEIGHT, WIDTH)
        assert opened.header.images == 3 * tiles
    part = decompress(model, compress(model, images, per_chunk=2), first=1, last=2)
    assert torch.equal(part.long(), images[1:2])


def test_what_lies_outside_of_an_image_costs_nothing():
    model = CASES["residual-position"].build(HEIGHT, WIDTH).float()
    images = torch.zeros(40, 1, 1, 1, dtype=torch.long)
    report = archive.write(io.BytesIO(), model, TensorSource(images))
    with torch.inference_mode():
        padded = torch.zeros(1, 1, HEIGHT, WIDTH, dtype=torch.long)
        first = model(padded).log_probabilities()[0, 0, 0, 0, 0]
    assert report.ideal_bits == pytest.approx(-40 * float(first) / math.log(2), rel=1e-4)
    assert report.values == 40


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


def test_labels_that_are_hidden_in_training_must_be_told():
    """A model that can do without a label still keeps one: an archive has no word for none."""
    condition = [{"classes": 3, "form": "gate", "dropout": 0.5}]
    model = build("gated-pixelcnn", shape=(1, 6, 7), levels=2, **GATED, condition=condition)
    with pytest.raises(ValueError, match=r"condition must be labels 0\.\.2, got -1"):
        compress(model, ZEROS, LABELS - 1)
    with pytest.raises(TypeError, match=r"condition must be labels \(B,\)"):
        compress(model, ZEROS)


def test_a_condition_that_the_archive_does_not_hold_must_be_given_again():
    model = CASES["gated-vector"].build(HEIGHT, WIDTH).float()
    condition = told_apart(model, 4)
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


# Planted faults: the laws see them


def test_a_table_one_part_short_in_the_decoder_is_seen(monkeypatch):
    model = a_model("gated-pixelcnn", (1, 6, 7), 256, position=False)
    next_entries = kernels.next_entries

    def short(plan, block, entries, *place):
        next_entries(plan, block, entries, *place)
        entries[:, 0] = np.maximum(entries[:, 0] - 1, 0)

    blob = compress(model, random_levels(model, 3))
    monkeypatch.setattr(kernels, "next_entries", short)
    with pytest.raises(NextPixelError, match="chunk 0"):
        decompress(model, blob)


def test_a_span_of_a_table_one_part_short_is_seen(monkeypatch):
    """The encoder sees no whole table: the law of sizes and of what comes back must."""
    model = CASES["gated"].build(HEIGHT, WIDTH).float()
    spans_of_rows = kernels.spans_of_rows

    def short(plan, block, table, starts, parts, *rows):
        spans_of_rows(plan, block, table, starts, parts, *rows)
        starts[starts > 0] -= 1

    monkeypatch.setattr(kernels, "spans_of_rows", short)
    blob = compress(model, random_levels(model, 3))
    with pytest.raises(NextPixelError, match="chunk 0"):
        decompress(model, blob)


def test_tables_of_float32_in_the_decoder_alone_are_seen(monkeypatch):
    """In a model of 256 levels nearly every table differs by a part or two."""
    model = a_model("gated-pixelcnn", (1, 6, 7), 256, position=False)
    blob = compress(model, random_levels(model, 3))
    next_entries = kernels.next_entries

    def rounded(plan, block, entries, *place):
        next_entries(plan, block, entries, *place)
        shares = entries.astype(np.float32) / np.float32(3)
        entries[...] = frequencies(shares.astype(float)) - 1.0

    monkeypatch.setattr(kernels, "next_entries", rounded)
    with pytest.raises(NextPixelError, match="chunk 0"):
        decompress(model, blob)


def test_an_order_that_depends_on_the_batch_is_seen(monkeypatch):
    """Images of a chunk in another order where there are more than three."""
    model = CASES["gated"].build(HEIGHT, WIDTH).float()
    levels = random_levels(model, 7)
    spans = ChunkCoder._spans

    def turned(self, plan, block):
        starts, parts = spans(self, plan, block)
        order = slice(None, None, -1 if len(block.levels) > 3 else 1)
        return starts[:, order], parts[:, order]

    monkeypatch.setattr(ChunkCoder, "_spans", turned)
    assert_comes_back(model, levels, per_chunk=3)
    blob = compress(model, levels, per_chunk=7)
    with pytest.raises(NextPixelError, match="chunk 0"):
        decompress(model, blob)
