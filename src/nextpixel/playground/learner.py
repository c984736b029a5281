"""A small net that learns while it is watched: digits of 14x14 pixels, black and white.

Net, update, likelihood, sampler and receptive field are the library's; here stands what is trained,
for how long, and what of it is shown. It works on one core, so that a seed gives one run wherever
it is, and knows nothing of the queue.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import nextpixel as npx
from nextpixel.audit import field_of
from nextpixel.data import Dataset, Split
from nextpixel.likelihood import evaluation_mode, log_probs
from nextpixel.models import PixelModel
from nextpixel.order import Step
from nextpixel.playground.schemas import LIMITS, KernelSide, TrainIn
from nextpixel.playground.serialization import encode, pack
from nextpixel.runtime.distributed import Processes
from nextpixel.runtime.threads import one_core
from nextpixel.training.optimizers import make_optimizers
from nextpixel.training.update import Updates

SIDE, LEVELS, CLASSES = 14, 2, 10
INK = 110
"""Mean of four pixels of MNIST from which the one that is made of them is white."""
TRAINED_ON, HELD_OUT = 20_000, 100
"""Images."""
SAMPLES = 20
MIDDLE = Step(SIDE // 2, SIDE // 2, 0)
DEPTH = 3
"""Layers with kernels wider than one."""
REPORT_EVERY = 0.3
"""Seconds at least."""
CONFIG: dict[str, Any] = {
    "batch_size": 16,
    "optimizer": "muon",
    "learning_rate": 0.02,
    "adam_learning_rate": 4e-3,
    "betas": (0.9, 0.99),
    "warmup": 20,
    "clip_norm": 1.0,
    "accelerate": False,  # compiling would take longer than the training
}


@cache
def digits() -> Dataset:
    """MNIST at half its size: a pixel of the mean of four, white or black; kept once made."""
    whole = npx.load_data("mnist")
    assert isinstance(whole.train, Split)
    parts = [_small(whole.train, TRAINED_ON), _small(whole.validation, HELD_OUT)]
    return npx.from_tensors(
        *parts[0], level_count=LEVELS, validation=parts[1], test=_small(whole.test, HELD_OUT)
    )


def _small(split: Split, count: int) -> tuple[Tensor, Tensor]:
    part = split.take(count)
    assert part.labels is not None
    return (F.avg_pool2d(part.levels.float(), 2) >= INK).byte(), part.labels


def import_optimizers() -> None:
    """Make an optimizer: the first one imports half of torch, which takes a second or two."""
    make_optimizers(build(TrainIn(visitor="the server")), npx.TrainConfig(**CONFIG))


def build(asked: TrainIn) -> PixelModel:
    """The net that was asked for: gated or plain, of the same depth."""
    options: dict[str, Any] = {
        "shape": (1, SIDE, SIDE),
        "levels": LEVELS,
        "features": asked.features,
        "side": asked.side,
        "condition": npx.ClassCondition(CLASSES) if asked.classes else None,
    }
    if not asked.gated:
        return npx.build("pixelcnn", seed=asked.seed, layers=DEPTH, **options)
    options |= {"layers": DEPTH - 1, "first_side": asked.side, "head_features": asked.features}
    return npx.build("gated-pixelcnn", seed=asked.seed, **options)


def describe(asked: TrainIn, model: PixelModel) -> dict[str, Any]:
    """What does not change while a net learns, and its samples before it does."""
    with one_core():
        field, samples = field_seen(gated=asked.gated, side=asked.side), draw(asked, model)
    return {
        "samples": pack(samples.numpy(), LEVELS),
        "labels": _labels().tolist() if asked.classes else None,
        "parameters": sum(weights.numel() for weights in model.parameters()),
        "images": TRAINED_ON,
        "held_out": HELD_OUT,
        "row": MIDDLE.row,
        "column": MIDDLE.column,
        "receptive_field": encode(field.numpy().astype(np.uint8)),
    }


@cache
def field_seen(*, gated: bool, side: KernelSide) -> Tensor:
    """What the middle pixel of such a net can depend on, boolean, (H, W).

    That does not depend on the number of features, but derivatives find it surely where there are
    many: of a few, all may be off at a border pixel.
    """
    wide = TrainIn(visitor="the server", gated=gated, side=side, features=LIMITS.train_features)
    return field_of(build(wide), MIDDLE, probes=4)[0]


def draw(asked: TrainIn, model: PixelModel) -> Tensor:
    """Images of the same uniforms each time, and of each class in turn."""
    rng = torch.Generator().manual_seed(asked.seed)
    return npx.sample(model, SAMPLES, rng=rng, condition=_labels() if asked.classes else None)


def _labels() -> Tensor:
    return torch.arange(SAMPLES) % CLASSES


class Learner:
    """A net in training.

    Args:
        asked: Which net it is, and when to stop.
        model: The net, untrained; it is changed in place.
        data: What it learns.
        limit: Seconds that it may work.

    Attributes:
        seconds: How long it has worked.
    """

    def __init__(self, asked: TrainIn, model: PixelModel, data: Dataset, limit: float) -> None:
        self.asked, self.model, self.held_out, self.limit = asked, model, data.validation, limit
        self.seconds, self._next_report = 0.0, 0.0
        config = npx.TrainConfig(seed=asked.seed, **CONFIG)
        with one_core():
            self.updates = Updates(model, data.train, config, Processes(), model.condition_of)

    @property
    def is_over(self) -> bool:
        """Whether its time is used, or all its updates are made."""
        return self.seconds >= self.limit or self.updates.step >= self.asked.updates

    @property
    def is_report_due(self) -> bool:
        """Whether to report: at the end, and so often that it takes a third of the time."""
        return self.is_over or self.seconds >= self._next_report

    def learn(self, most: float, least: float, others_wait: Callable[[], bool]) -> None:
        """Make updates for so many seconds, or fewer where others wait; at least one."""
        before = self.seconds
        while not self.is_over:
            with self._at_work():
                self.updates.make(0.0)
            spent = self.seconds - before
            if spent >= most or (spent >= least and others_wait()):
                break

    def report(self) -> dict[str, Any]:
        """What it has come to: its surprise, its samples of the same noise, and its influences.

        `train_nats` are the mean since the last report, `influence` is base64 of float32, (H, W).
        Its time counts from the report before the first update on, when all is imported.
        """
        begin, train = self.seconds, self.updates.means()[0]
        with self._at_work(), evaluation_mode(self.model):
            shown = {
                "step": self.updates.step,
                "train_nats": None if math.isnan(train) else train,
                "held_out_nats": self._held_out_nats(),
                "samples": pack(draw(self.asked, self.model).numpy(), LEVELS),
                "influence": encode(self._influence().numpy().astype("<f4")),
            }
        spent = self.seconds - begin
        self.seconds *= self.updates.step > 0
        self._next_report = self.seconds + max(REPORT_EVERY, 2 * spent)
        return {**shown, "seconds": self.seconds}

    def _held_out_nats(self) -> float:
        """Mean of the held-out images."""
        levels, labels = self.held_out.levels.long(), self.held_out.labels
        condition = self.updates.condition_of(levels, labels)
        return -log_probs(self.model, self.held_out, condition).mean().item()

    def _influence(self) -> Tensor:
        """Mean size of the derivative of the middle pixel's log-odds by each pixel, (H, W)."""
        levels, labels = self.held_out.levels[:SAMPLES], self.held_out.labels
        condition = self.updates.condition_of(levels, None if labels is None else labels[:SAMPLES])
        x = levels.float().requires_grad_()
        predicted = self.model.predict(x, self.model.condition(condition, len(x)))
        log_p = predicted.logits[:, 0, MIDDLE.row, MIDDLE.column]
        (found,) = torch.autograd.grad((log_p[:, 1] - log_p[:, 0]).sum(), x)
        return found[:, 0].abs().mean(0)

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Use one core, and count the time."""
        begin = time.perf_counter()
        with one_core():
            yield
        self.seconds += time.perf_counter() - begin
