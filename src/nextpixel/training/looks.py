"""Looking at a model while it trains: held-out likelihoods, the best weights so far, previews."""

import math
from collections.abc import Callable
from typing import Any

from nextpixel.data import Dataset, Split
from nextpixel.likelihood import evaluation_mode
from nextpixel.models import PixelModel
from nextpixel.training.progress import Clock
from nextpixel.training.record import Metrics, speeds
from nextpixel.training.run import Run
from nextpixel.training.shared import nats_over
from nextpixel.training.update import Updates


class Looks:
    """Rows of metrics, the best weights and the number of previews.

    Args:
        updates: What is looked at.
        data: Held-out images.
        run: Where figures and the best weights are written.
        clock: Of the run.
        on_preview: Called with the model to be kept, and the number of updates.
    """

    def __init__(
        self,
        updates: Updates,
        data: Dataset,
        run: Run,
        clock: Clock,
        on_preview: Callable[[PixelModel, int], None] | None,
    ) -> None:
        self.updates, self.data, self.run, self.clock = updates, data, run, clock
        self.config, self.on_preview = updates.config, on_preview
        self.previews = -1
        self.rows: list[Metrics] = []
        self.best: dict[str, Any] = {"step": 0, "nats": math.inf, "weights": None}

    @property
    def step(self) -> int:
        """Updates done."""
        return self.updates.step

    def take(self) -> None:
        """Validate and preview where they are due."""
        if self.step % self.config.validate_every == 0:
            self.validate()
        self.preview()

    def end(self) -> None:
        """The last look of a run that was not stopped."""
        if not self.rows or self.rows[-1].step != self.step:
            self.validate()
        self.preview()

    def validate(self) -> None:
        """Measure held-out images, add a row of metrics, keep the weights if they are the best."""
        updates, test = self.updates, self.config.test_images
        validation = self.measure(self.data.validation, self.config.validation_images)
        loss, norm = updates.means()
        seconds, share = self.clock.seconds, self.clock.share(self.step)
        row = Metrics(
            step=self.step,
            epoch=updates.batches.epoch,
            seconds=round(seconds, 2),
            images=updates.images,
            learning_rate=updates.rate,
            train_nats=loss,
            validation_nats=validation,
            test_nats=self.measure(self.data.test, test) if test else None,
            gradient_norm=norm,
            skipped=updates.spikes.skipped,
            **speeds(self.rows, updates.images, seconds, share),
        )
        self.rows.append(row)
        self.run.write_metrics(self.rows)
        self.run.log(row)
        if validation < self.best["nats"]:
            self.keep(validation)

    def keep(self, nats: float) -> None:
        """Remember and write the weights, which are the best so far."""
        kept = self.updates.kept
        weights = {name: value.clone() for name, value in kept.state_dict().items()}
        self.best = {"step": self.step, "nats": nats, "weights": weights}
        self.run.write_model(kept, {"step": self.step, "validation_nats": nats})

    def measure(self, split: Split, count: int) -> float:
        """Nats per image of the first images of a split, shared out over the ranks."""
        part = split.take(count)
        levels = part.levels if part.in_memory else self.updates.ranks.each(lambda: part.levels)
        condition = self.updates.condition_of(levels.long(), part.labels)
        return nats_over(self.updates.ranks, self.updates.kept, part, condition)

    def preview(self) -> None:
        """Call for a preview if one is due; the first is due before the first update."""
        if not (self.config.preview_every or self.config.previews):
            return
        by_steps = self.config.preview_every and self.step // self.config.preview_every
        by_share = int(min(1.0, self.clock.share(self.step)) * self.config.previews)
        due = max(by_steps, by_share)
        if due > self.previews and self.on_preview is not None:
            self.previews = due
            with evaluation_mode(self.updates.kept):
                self.on_preview(self.updates.kept, self.step)

    def state(self) -> dict[str, Any]:
        """All that an exact resume needs, as tensors and plain values."""
        return {
            "previews": self.previews,
            "best": self.best,
            "rows": [vars(row) for row in self.rows],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a `state`; rows that were written after it are taken back."""
        self.previews, self.best = state["previews"], state["best"]
        self.rows = [Metrics(**row) for row in state["rows"]]
        self.run.write_metrics(self.rows)
