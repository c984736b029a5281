"""The training loop: draw a batch, lower its surprise, look at held-out images, save, repeat.

What is lowered is the mean negative log-probability of a sub-pixel; what is reported is nats per
image. All that is random is a function of (seed, step), so a run that is stopped, killed or
resumed ends with the same bits as one that never was (unless it follows the clock: see
`TrainConfig.minutes`).

The loop knows no pictures and no file names but those of the run's folder; previews are a
callback's work.
"""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from nextpixel.data import Dataset
from nextpixel.models import PixelModel
from nextpixel.runtime.distributed import Ranks
from nextpixel.training.checks import ConditionOf, check_compiler, check_data, check_shares
from nextpixel.training.config import TrainConfig
from nextpixel.training.looks import Looks
from nextpixel.training.progress import Clock, Progress, Result
from nextpixel.training.run import Run
from nextpixel.training.surroundings import StopRequest, surroundings
from nextpixel.training.update import Updates, channels_last


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
            stay) and not left out, the resume point and the one before it are missing or damaged,
            a file cannot be written, there is no compiler that was asked for, or another process
            of the run is gone.
        KeyboardInterrupt: After Ctrl-C, once the resume point is written.
        SystemExit: After SIGTERM, with status 143, once the resume point is written.
    """
    config = config or TrainConfig()
    condition_of = condition_of or model.condition_of
    ranks = Ranks.current()
    check_data(model, data, condition_of)
    check_shares(config, ranks)
    check_compiler(config, model)
    described = description or {"name": data.name}
    run = Run(
        out if ranks.is_first else None, model, data, config, described, processes=ranks.world
    )
    with ExitStack() as stack:
        ranks.first(lambda: stack.enter_context(run.claimed(resume=resume)))
        stop = stack.enter_context(surroundings(config.threads, patient=ranks.world > 1))
        calls = (on_progress, on_preview) if ranks.is_first else (None, None)
        trainer = Trainer(model, data, config, run, ranks, condition_of, *calls)
        trainer.begin(resume=resume, allow_resize=allow_resize)
        try:
            trainer.work(stop)
        finally:
            trainer.finish()
    return trainer.result()


class Trainer:
    """One run: it updates, looks and saves until it is over or asked to stop.

    Args:
        model: The model.
        data: The images.
        config: Settings.
        run: Its files.
        ranks: The processes that share each batch.
        condition_of: Gives the condition of images.
        on_progress: Called after every update.
        on_preview: Called when a preview is due.
    """

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
        self.model, self.config, self.run, self.ranks = model, config, run, ranks
        self.on_progress = on_progress
        self.clock = Clock(config)
        self.updates = Updates(model, data.train, config, ranks, condition_of)
        self.looks = Looks(self.updates, data, run, self.clock, on_preview)
        self.stopped = False

    @property
    def share(self) -> float:
        """Share of the run that is over."""
        return self.clock.share(self.updates.step)

    def begin(self, *, resume: bool, allow_resize: bool) -> None:
        """Go back to the resume point, or write the first: if that fails, it fails at once."""
        if resume:
            self.restore(self.ranks.first(lambda: self.run.read(allow_resize=allow_resize)))
        else:
            self.save()

    def work(self, stop: StopRequest) -> None:
        """Update until the run is over or a signal asks to stop."""
        self.clock.start(self.clock.before)
        self.looks.preview()
        while (share := self.agree(stop)) < 1 and not self.stopped:
            self.updates.make(share)
            self.tell()
            self.looks.take()
            if self.updates.step % self.config.save_every == 0:
                self.save()
        if not self.stopped:
            self.looks.end()
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

    def tell(self) -> None:
        """Tell whoever watches."""
        if self.on_progress is not None:
            done = self.updates
            share, seconds, skipped = min(1.0, self.share), self.clock.seconds, done.spikes.skipped
            self.on_progress(
                Progress(done.step, share, done.images, seconds, done.running, skipped)
            )

    def save(self) -> None:
        """Write the resume point and the last weights; a disk that is full stops every rank."""
        state = self.state()  # every rank has a part in it
        self.ranks.first(lambda: self.write(state))

    def write(self, state: dict[str, Any]) -> None:
        """Write them, in the first process."""
        self.run.write(state)
        self.run.write_last(self.updates.kept, {"step": self.updates.step})

    def state(self) -> dict[str, Any]:
        """All that an exact resume needs, as tensors and plain values."""
        return {
            "seconds": self.clock.seconds,
            **self.updates.state(),
            **self.looks.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a `state`."""
        self.clock.start(state["seconds"])
        self.updates.restore(state)
        self.looks.restore(state)

    def finish(self) -> None:
        """Leave the model with its best weights, in evaluation mode, however the run ended."""
        best = self.looks.best["weights"]
        if best is not None:
            self.model.load_state_dict(best)
        channels_last(self.model, undo=True)
        self.model.eval()

    def result(self) -> Result:
        """How the run ended."""
        done, best = self.updates, self.looks.best
        return Result(
            steps=done.step,
            images=done.images,
            seconds=self.clock.seconds,
            best_step=best["step"],
            best_nats=best["nats"],
            skipped=done.spikes.skipped,
        )
