"""The training loop: draw a batch, lower its surprise, look at held-out images, save, repeat.

What is lowered is the mean negative log-probability of a sub-pixel; what is reported is nats per
image. All that is random is a function of (seed, step), so a run that is stopped, killed or
resumed ends with the same bits as one that never was (unless it follows the clock: see
`TrainConfig.minutes`).

The loop knows no pictures and no file names but those of the run's folder; previews are a
callback's work.
"""

import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nextpixel.data import Batches, Dataset, Split
from nextpixel.data.seeds import rng_of
from nextpixel.errors import NextPixelError
from nextpixel.likelihood import evaluation_mode
from nextpixel.models import PixelModel
from nextpixel.training.checks import ConditionOf, check_data, check_shares
from nextpixel.training.config import TrainConfig
from nextpixel.training.ema import make_average
from nextpixel.training.gradient import Gradient
from nextpixel.training.optimizers import make_optimizers, rate_factor, set_rates
from nextpixel.training.ranks import Ranks
from nextpixel.training.record import Metrics, speeds
from nextpixel.training.run import Run
from nextpixel.training.shared import nats_over
from nextpixel.training.surroundings import StopRequest, surroundings


@dataclass(frozen=True)
class Progress:
    """Where a run stands, for whoever shows it.

    Attributes:
        step: Updates done.
        share: Share of the run that is over, 0 to 1.
        images: Training images seen.
        seconds: Wall-clock time of training.
        nats: Running mean of the training loss, nats per image.
    """

    step: int
    share: float
    images: int
    seconds: float
    nats: float

    @property
    def images_per_second(self) -> float:
        """Mean speed of the run."""
        return self.images / max(self.seconds, 1e-9)

    @property
    def seconds_left(self) -> float:
        """Estimate from the share that is over."""
        return self.seconds * (1 - self.share) / max(self.share, 1e-9)


@dataclass(frozen=True)
class Result:
    """How a run ended.

    Attributes:
        steps: Updates done.
        images: Training images seen.
        seconds: Wall-clock time of training.
        best_step: Updates after which the kept weights were measured.
        best_nats: Their likelihood on the validation images, nats per image.
    """

    steps: int
    images: int
    seconds: float
    best_step: int
    best_nats: float


def fit(
    model: PixelModel,
    data: Dataset,
    config: TrainConfig | None = None,
    *,
    out: str | Path | None = None,
    resume: bool = False,
    allow_resize: bool = False,
    description: dict[str, Any] | None = None,
    condition_of: ConditionOf | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_preview: Callable[[PixelModel, int], None] | None = None,
) -> Result:
    """Train a model in place; it ends with the weights that were best on validation images.

    Ctrl-C and SIGTERM end the run after the current update and leave a resume point. Where torch's
    default process group is set up, its processes share each batch, and all call this alike.

    Args:
        model: The model to train.
        data: Trained on `data.train`; weights are chosen by `data.validation`, never by the test
            images.
        config: Settings; None means the defaults.
        out: Folder for `model.safetensors`, `config.json` (the best weights), `last/` (the last
            ones), `metrics.csv` and `resume/`; the first process writes. None: nothing is written.
        resume: Go on from the resume point in `out`.
        allow_resize: Let a resumed run have another number of processes or of passes than before;
            it is then no longer bit for bit the run that was never stopped.
        description: Written to `config.json` as the model's data, for `nextpixel evaluate`.
        condition_of: Gives the condition of images, int64, (B, C, H, W), and their labels (B,) or
            None. By default `model.condition_of`, which gives a class-conditional model the labels.
        on_progress: Called after every update, in the first process.
        on_preview: Called with the model to be kept, and the number of updates, when a preview is
            due, in the first process.

    Returns:
        How it ended.

    Raises:
        ValueError: If model, data and condition do not fit, `out` cannot be used, or the batch
            cannot be shared out.
        NextPixelError: If the loss is not finite (the best weights and the resume point before it
            stay), the resume point is missing or damaged, a file cannot be written, or another
            process of the run is gone.
        KeyboardInterrupt: After Ctrl-C, once the resume point is written.
        SystemExit: After SIGTERM, with status 143, once the resume point is written.
    """
    config = config or TrainConfig()
    condition_of = condition_of or model.condition_of
    ranks = Ranks.current()
    check_data(model, data, condition_of)
    check_shares(config, ranks)
    described = description or {"name": data.name}
    run = Run(
        out if ranks.is_first else None, model, data, config, described, processes=ranks.world
    )
    with ExitStack() as stack:
        ranks.first(lambda: stack.enter_context(run.claimed(resume=resume)))
        stop = stack.enter_context(surroundings(config.threads, patient=ranks.world > 1))
        calls = (on_progress, on_preview) if ranks.is_first else (None, None)
        trainer = _Trainer(model, data, config, run, ranks, condition_of, *calls)
        trainer.begin(resume=resume, allow_resize=allow_resize)
        try:
            trainer.work(stop)
        finally:
            trainer.finish()
    return trainer.result()


class _Trainer:
    """State of one run. All of it that matters is in `state()`."""

    def __init__(
        self,
        model: PixelModel,
        data: Dataset,
        config: TrainConfig,
        run: Run,
        ranks: Ranks,
        condition_of: ConditionOf,
        on_progress: Callable[[Progress], None] | None,
        on_preview: Callable[[PixelModel, int], None] | None,
    ) -> None:
        self.model, self.data, self.config, self.run = model, data, config, run
        self.ranks, self.condition_of = ranks, condition_of
        self.on_progress, self.on_preview = on_progress, on_preview
        ranks.copy_first(model)
        channels_last(model)
        self.optimizers = make_optimizers(model, config)
        self.gradient = Gradient(model, ranks, config.accumulate)
        self.average = None if config.ema is None else make_average(model, config.ema)
        self.batches = Batches(len(data.train), config.batch_size, seed=config.seed)
        self.step, self.images, self.previews = 0, 0, -1
        self.loss_sum, self.loss_count, self.running = 0.0, 0, math.nan
        self.seconds_before, self.started = 0.0, time.monotonic()
        self.stopped = False
        self.norms: list[float] = []  # of the gradient, since the last row
        self.rows: list[Metrics] = []
        self.best: dict[str, Any] = {"step": 0, "nats": math.inf, "weights": None}

    @property
    def kept(self) -> PixelModel:
        """The model whose weights count: the average, if there is one."""
        if self.average is None:
            return self.model
        return self.average.module  # type: ignore[return-value]

    @property
    def seconds(self) -> float:
        """Wall-clock time of training, earlier legs included."""
        return self.seconds_before + time.monotonic() - self.started

    @property
    def share(self) -> float:
        """Share of the run that is over: by steps, or by the clock where that is further."""
        by_steps = self.step / self.config.steps
        if self.config.minutes is None:
            return by_steps
        return max(by_steps, self.seconds / (60 * self.config.minutes))

    def begin(self, *, resume: bool, allow_resize: bool) -> None:
        """Go back to the resume point, or write the first: if that fails, it fails at once."""
        if resume:
            self.restore(self.ranks.first(lambda: self.run.read(allow_resize=allow_resize)))
        else:
            self.ranks.first(self.save)

    def work(self, stop: StopRequest) -> None:
        """Update until the run is over or a signal asks to stop."""
        self.started = time.monotonic()
        self.preview()
        while (share := self.agree(stop)) < 1 and not self.stopped:
            self.model.train()
            self.update(share)
            self.look()
        if not self.stopped:
            self.end()
        self.save()
        self.agree(stop)
        stop.act()

    def agree(self, stop: StopRequest) -> float:
        """Share of the run that is over, and whether to stop, as all ranks see it."""
        share, number = self.ranks.largest(self.share, stop.signal)
        self.stopped = number > 0
        if self.stopped:  # else one may have come meanwhile, for the next time
            stop.signal = int(number)
        return share

    def end(self) -> None:
        """The last look of a run that was not stopped."""
        if not self.rows or self.rows[-1].step != self.step:
            self.validate()
        self.preview()

    def update(self, share: float) -> None:
        """One batch, one step of the optimisers."""
        with self.gradient.lanes.alone():
            self._update(share)

    def _update(self, share: float) -> None:
        rng = rng_of(self.config.seed, self.step)
        indices = self.batches.next()
        levels = self.data.train.draw(indices, rng)
        labels = self.data.train.labels
        told = self.condition_of(levels, None if labels is None else labels[indices])
        told = self.model.conditioner.hide(told, rng)
        nats = self.gradient.set(levels, told, self.layer_seed())
        self.guard(nats)
        self.ranks.average_buffers(self.model)
        set_rates(self.optimizers, rate_factor(self.config, self.step, share))
        for optimizer in self.optimizers:
            optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.model)
        self.step += 1
        self.images += len(levels)
        self.note(nats, len(levels))

    def layer_seed(self) -> int:
        """Seed of what layers draw in this update."""
        return rng_of(self.config.seed, "layers", self.step).initial_seed()

    def guard(self, nats: float) -> None:
        """Clip the gradient; stop before one that is not finite spoils the weights."""
        limit = self.config.clip_norm or math.inf
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), limit)
        if math.isfinite(nats) and bool(norm.isfinite()):
            self.norms.append(norm.item())
            return
        what = "loss" if not math.isfinite(nats) else "gradient"
        raise NextPixelError(
            f"the {what} is not finite at step {self.step + 1}; the best weights and the resume "
            "point before it stay. Try a lower learning_rate, a longer warmup or a smaller "
            "clip_norm"
        )

    def note(self, nats: float, images: int) -> None:
        """Keep count of the loss, and tell whoever watches."""
        self.loss_sum, self.loss_count = self.loss_sum + nats * images, self.loss_count + images
        self.running = nats if math.isnan(self.running) else 0.98 * self.running + 0.02 * nats
        if self.on_progress is not None:
            self.on_progress(
                Progress(self.step, min(1.0, self.share), self.images, self.seconds, self.running)
            )

    def look(self) -> None:
        """Validate, preview and save when they are due."""
        if self.step % self.config.validate_every == 0:
            self.validate()
        self.preview()
        if self.step % self.config.save_every == 0:
            self.save()

    def validate(self) -> None:
        """Measure held-out images, add a row of metrics, keep the weights if they are the best."""
        validation = self.measure(self.data.validation, self.config.validation_images)
        test = self.config.test_images
        row = Metrics(
            step=self.step,
            epoch=self.batches.epoch,
            seconds=round(self.seconds, 2),
            images=self.images,
            learning_rate=self.optimizers[0].param_groups[0]["lr"],
            train_nats=self.loss_sum / max(1, self.loss_count),
            validation_nats=validation,
            test_nats=self.measure(self.data.test, test) if test else None,
            gradient_norm=sum(self.norms) / len(self.norms) if self.norms else None,
            **speeds(self.rows, self.images, self.seconds, self.share),
        )
        self.loss_sum, self.loss_count, self.norms = 0.0, 0, []
        self.rows.append(row)
        self.run.write_metrics(self.rows)
        self.run.log(row)
        if validation < self.best["nats"]:
            weights = {name: value.clone() for name, value in self.kept.state_dict().items()}
            self.best = {"step": self.step, "nats": validation, "weights": weights}
            self.run.write_model(self.kept, {"step": self.step, "validation_nats": validation})

    def measure(self, split: Split, count: int) -> float:
        """Nats per image of the first images of a split, shared out over the ranks."""
        part = split.take(count)
        condition = self.condition_of(part.levels.long(), part.labels)
        return nats_over(self.ranks, self.kept, part, condition)

    def preview(self) -> None:
        """Call for a preview if one is due; the first is due before the first update."""
        if not (self.config.preview_every or self.config.previews):
            return
        by_steps = self.config.preview_every and self.step // self.config.preview_every
        by_share = int(min(1.0, self.share) * self.config.previews)
        due = max(by_steps, by_share)
        if due > self.previews and self.on_preview is not None:
            self.previews = due
            with evaluation_mode(self.kept):
                self.on_preview(self.kept, self.step)

    def save(self) -> None:
        """Write the resume point and the last weights."""
        self.run.write(self.state())
        self.run.write_last(self.kept, {"step": self.step})

    def state(self) -> dict[str, Any]:
        """All that an exact resume needs, as tensors and plain values."""
        return {
            "step": self.step,
            "images": self.images,
            "previews": self.previews,
            "seconds": self.seconds,
            "loss": [self.loss_sum, self.loss_count, self.running],
            "model": self.model.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "norms": self.norms,
            "batches": self.batches.state(),
            "best": self.best,
            "rows": [vars(row) for row in self.rows],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a `state`."""
        self.step, self.images, self.previews = state["step"], state["images"], state["previews"]
        self.seconds_before = state["seconds"]
        self.loss_sum, self.loss_count, self.running = state["loss"]
        self.model.load_state_dict(state["model"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.batches.restore(state["batches"])
        self.norms = state.get("norms", [])  # resume points of earlier versions have none
        self.best = state["best"]
        self.rows = [Metrics(**row) for row in state["rows"]]
        self.run.write_metrics(self.rows)

    def finish(self) -> None:
        """Leave the model with its best weights, in evaluation mode, however the run ended."""
        if self.best["weights"] is not None:
            self.model.load_state_dict(self.best["weights"])
        channels_last(self.model, undo=True)
        self.model.eval()

    def result(self) -> Result:
        """How the run ended."""
        return Result(self.step, self.images, self.seconds, self.best["step"], self.best["nats"])


def channels_last(model: nn.Module, *, undo: bool = False) -> None:
    """Lay kernels out with the features innermost, which convolutions on CPUs and GPUs prefer."""
    layout = torch.contiguous_format if undo else torch.channels_last
    model.to(memory_format=layout)  # type: ignore[call-overload]
