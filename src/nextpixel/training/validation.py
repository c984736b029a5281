"""What is done with a model while it trains: held-out likelihoods, the best weights, previews."""

import math
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from nextpixel.data import Dataset, Split
from nextpixel.errors import NextPixelError, shared_with_all
from nextpixel.likelihood import evaluation_mode, log_probs
from nextpixel.models import PixelModel
from nextpixel.runtime.distributed import alone
from nextpixel.training.folder import RunFolder
from nextpixel.training.metrics import Clock, Metrics, speeds
from nextpixel.training.update import Updates


class Validation:
    """Rows of metrics, the best weights and the number of previews.

    Args:
        updates: The model and its training.
        data: Held-out images.
        run: Where figures and the best weights are written.
        clock: Of the run.
        on_preview: Called with the model to be kept, and the number of updates, in the first
            process.
    """

    def __init__(
        self,
        updates: Updates,
        data: Dataset,
        run: RunFolder,
        clock: Clock,
        on_preview: Callable[[PixelModel, int], None] | None,
    ) -> None:
        self.updates, self.data, self.run, self.clock = updates, data, run, clock
        self.config, self.on_preview = updates.config, on_preview
        self.previews = -1
        self.validated = 0.0  # share of the run that was over at the last validation
        self.rows: list[Metrics] = []
        self.best: dict[str, Any] = {"step": 0, "nats": math.inf, "weights": None}

    @property
    def step(self) -> int:
        """Updates done."""
        return self.updates.step

    def after_update(self, share: float) -> None:
        """Validate and preview where they are due.

        Args:
            share: Of the run that was over before the update, the same in all processes.
        """
        if self.step % self.config.validate_every == 0 or self.is_late(share):
            self.validated = share
            self.validate()
        self.preview()

    def is_late(self, share: float) -> bool:
        """Whether a run that follows the clock has gone too far without a validation."""
        follows_clock = self.config.minutes is not None and self.config.validations > 0
        return follows_clock and share - self.validated >= 1 / self.config.validations

    def at_end(self) -> None:
        """What a run that was not stopped ends with."""
        if not self.rows or self.rows[-1].step != self.step:
            self.validate()
        self.preview()

    def validate(self) -> None:
        """Measure held-out images, add a row of metrics, keep the weights if they are the best.

        Raises:
            NextPixelError: In every process, if the likelihood is not finite.
        """
        nats = self.measure(self.data.validation, self.config.validation_images)
        if not math.isfinite(nats):
            raise shared_with_all(
                NextPixelError(
                    f"the likelihood of the validation images is not finite at step {self.step}; "
                    "the best weights and the resume point before it stay. Try a lower "
                    "learning_rate"
                )
            )
        self.rows.append(self.row(nats))
        is_best = nats < self.best["nats"]
        if is_best:
            self.keep(nats)
        self.updates.processes.first(lambda: self.write(is_best=is_best))

    def row(self, nats: float) -> Metrics:
        """The figures at this step.

        Args:
            nats: Of the validation images.
        """
        updates, test = self.updates, self.config.test_images
        loss, norm = updates.means()
        seconds, share = self.clock.seconds, self.clock.share(self.step)
        return Metrics(
            step=self.step,
            epoch=updates.batches.epoch,
            seconds=round(seconds, 2),
            images=updates.images,
            learning_rate=updates.rate,
            train_nats=loss,
            validation_nats=nats,
            test_nats=self.measure(self.data.test, test) if test else None,
            gradient_norm=norm,
            skipped=updates.spikes.skipped,
            **speeds(self.rows, updates.images, seconds, share),
        )

    def keep(self, nats: float) -> None:
        """Remember the weights, which are the best so far."""
        weights = {name: value.clone() for name, value in self.updates.kept.state_dict().items()}
        self.best = {"step": self.step, "nats": nats, "weights": weights}

    def write(self, *, is_best: bool) -> None:
        """Write the rows, and the weights if they are the best, in the first process."""
        self.run.write_metrics(self.rows)
        if is_best:
            self.write_best(self.updates.kept)

    def write_best(self, model: PixelModel) -> None:
        """Write the best weights, which are those of the model."""
        figures = {"step": self.best["step"], "validation_nats": self.best["nats"]}
        self.run.write_model(model, figures)

    def measure(self, split: Split, count: int) -> float:
        """Nats per image of the first images of a split, shared out over the processes."""
        part = split.take(count)
        updates = self.updates
        levels = part.levels if part.in_memory else updates.processes.each(lambda: part.levels)
        condition = updates.condition_of(levels.long(), part.labels)
        return -log_probs(updates.kept, part, condition).mean().item()

    @property
    def due_previews(self) -> int:
        """Previews that are due by now, after the first."""
        by_steps = self.config.preview_every and self.step // self.config.preview_every
        by_share = int(min(1.0, self.clock.share(self.step)) * self.config.previews)
        return max(by_steps, by_share)

    def preview(self) -> None:
        """Call for a preview if one is due; the first is due before the first update."""
        if not (self.config.preview_every or self.config.previews):
            return
        due = self.due_previews
        if due > self.previews and self.on_preview is not None and self.updates.processes.is_first:
            self.previews = due
            with evaluation_mode(self.updates.kept), alone():
                self.on_preview(self.updates.kept, self.step)

    def state(self) -> dict[str, Any]:
        """All that an exact resume needs, as tensors and plain values."""
        return {
            "previews": self.previews,
            "best": self.best,
            "rows": [vars(row) for row in self.rows],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a `state`; rows and best weights that were written after it are taken back."""
        self.previews, self.best = min(state["previews"], self.due_previews), state["best"]
        self.rows = [Metrics(**row) for row in state["rows"]]
        if self.rows:
            self.validated = self.clock.share(self.rows[-1].step, self.rows[-1].seconds)
        self.updates.processes.first(self.take_back)

    def take_back(self) -> None:
        """Write rows and best weights as they were at a state, in the first process."""
        self.run.take_back(self.rows, after=self.step)
        if self.best["weights"] is not None and self.run.folder is not None:
            model = deepcopy(self.updates.model)
            model.load_state_dict(self.best["weights"])
            self.write_best(model)
