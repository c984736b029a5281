"""The training loop: draw a batch, lower its surprise, validate, save, repeat.

What is lowered is the mean negative log-probability of a sub-pixel; what is reported is nats per
image. All that is random is a function of (seed, step), so a run that is stopped, killed or
resumed ends with the same bits as one that never was (unless it follows the clock: see
`TrainConfig.minutes`).

The loop knows no pictures and no file names but those of the run's folder; previews are a
callback's work.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from types import FrameType
from typing import Any, TypedDict, Unpack

import torch

from nextpixel.data import Dataset
from nextpixel.errors import check_keywords
from nextpixel.models import PixelModel
from nextpixel.runtime.distributed import Processes, alone
from nextpixel.training.checks import check, check_kinds, first_images
from nextpixel.training.config import TrainConfig
from nextpixel.training.folder import RunFolder, classes_without_images
from nextpixel.training.metrics import Clock, Progress, Result
from nextpixel.training.resume import check_alike
from nextpixel.training.update import ConditionOf, Updates, channels_last
from nextpixel.training.validation import Validation

OnProgress = Callable[[Progress], None]
OnPreview = Callable[[PixelModel, int], None]


class FitKeywords(TypedDict, total=False):
    """Keywords of `fit` that are seldom used: the fields of `FitOptions`."""

    allow_resize: bool
    warm_restart: bool
    description: dict[str, Any] | None
    recipe: str | None
    on_progress: OnProgress | None
    on_preview: OnPreview | None


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """What else a run may be asked.

    Attributes:
        allow_resize: Let a resumed run have another number of processes or of passes than before;
            it is then no longer bit for bit the run that was never stopped.
        warm_restart: Let a resumed run of more steps or minutes raise a learning rate again that
            its schedule has lowered.
        description: Written to `config.json` as the model's data, for `nextpixel evaluate`.
        recipe: Text of a recipe, written to `recipe.yaml`, for `nextpixel train --resume`.
        on_progress: Called after every update, in the first process.
        on_preview: Called with the model to be kept, and the number of updates, when a preview is
            due, in the first process.
    """

    allow_resize: bool = False
    warm_restart: bool = False
    description: dict[str, Any] | None = None
    recipe: str | None = None
    on_progress: OnProgress | None = None
    on_preview: OnPreview | None = None


def fit(
    model: PixelModel,
    data: Dataset,
    config: TrainConfig | None = None,
    *,
    out: str | Path | None = None,
    resume: bool = False,
    condition_of: ConditionOf | None = None,
    **options: Unpack[FitKeywords],
) -> Result:
    """Train a model in place; it ends with the weights that were best on validation images.

    Ctrl-C and SIGTERM end the run after the current update and leave a resume point. Where torch's
    default process group is set up, its processes share each batch, and all call this alike; what
    callbacks do is done by the first process alone.

    Args:
        model: The model to train.
        data: Trained on `data.train`; weights are chosen by `data.validation`, never by the test
            images.
        config: Settings; None means the defaults.
        out: Folder for `model.safetensors`, `config.json` (the best weights), `last/` (the last
            ones), `metrics.csv` and `resume/`; the first process writes. None: nothing is written.
        resume: Go on from the resume point in `out`.
        condition_of: Gives the condition of images, int64, (B, C, H, W), and their labels (B,) or
            None. By default `model.condition_of`, which gives a class-conditional model the labels.
        **options: `allow_resize`, `warm_restart`, `description`, `recipe`, `on_progress` and
            `on_preview`, the fields of `nextpixel.training.loop.FitOptions`.

    Returns:
        How it ended.

    Raises:
        TypeError: If there is no such option.
        ValueError: If model, data and condition do not fit, `out` cannot be used, the batch cannot
            be shared out, processes differ in model, data or settings, or a resumed run's schedule
            would raise the learning rate again.
        NextPixelError: If the loss is not finite and not left out, or a validation is not finite
            (the best weights and the resume point before it stay), the resume point and the one
            before it are missing or damaged, a file cannot be written, there is no compiler that
            was asked for, or another process of the run is gone.
        KeyboardInterrupt: After Ctrl-C, once the resume point is written.
        SystemExit: After SIGTERM, with status 143, once the resume point is written.
    """
    check_kinds(model, data, config, out)
    if misplaced := options.keys() & {field.name for field in fields(TrainConfig)}:
        name = min(misplaced)
        raise TypeError(f"{name} must be a setting: pass npx.TrainConfig({name}=...)")
    check_keywords(options, [field.name for field in fields(FitOptions)])
    chosen, config = FitOptions(**options), config or TrainConfig()
    unseen = classes_without_images(model, data) if condition_of is None else {}
    condition_of = condition_of or model.condition_of
    processes = Processes.current()
    check(model, data, config, processes, condition_of)
    folder = out if processes.is_first else None
    described, size = (chosen.description or {"name": data.name}) | unseen, processes.world_size
    run = RunFolder(folder, model, data, config, described, processes=size)
    check_alike(processes, run.fingerprint, config)
    with ExitStack() as stack:
        processes.first(lambda: stack.enter_context(run.claimed(resume=resume)))
        stack.enter_context(_torch_threads(config.threads))
        stop = stack.enter_context(stop_requests(patient=processes.world_size > 1))
        if not resume:
            model.initialize(*first_images(model, data, config.batch_size, condition_of))
        updates = Updates(model, data.train, config, processes, condition_of)
        validation = Validation(updates, data, run, Clock(config), chosen.on_preview)
        trainer = Trainer(updates, validation, run, chosen.on_progress)
        trainer.begin(chosen, resume=resume)
        try:
            trainer.work(stop)
        finally:
            trainer.finish()
    return trainer.result()


class StopRequest:
    """Whether Ctrl-C or SIGTERM has asked the run to stop.

    Args:
        patient: Whether to go on until all processes agree, however often this one is asked:
            torchrun passes on what the terminal has sent to all of them, and kills in the end.
    """

    def __init__(self, *, patient: bool = False) -> None:
        self.patient = patient
        self.signal = 0

    def note(self, number: int, frame: FrameType | None) -> None:
        """Signal handler: only remember, so that an update is never cut in two."""
        del frame
        if not self.patient:
            self.act()  # asked twice: stop now, the last resume point stands
        self.signal = number

    def act(self) -> None:
        """Stop as the signal asked to, if one did.

        Raises:
            KeyboardInterrupt: After Ctrl-C.
            SystemExit: After SIGTERM, with status 128 + 15.
        """
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        if self.signal:
            raise SystemExit(128 + self.signal)


@contextmanager
def stop_requests(*, patient: bool = False) -> Iterator[StopRequest]:
    """Turn signals into a request for a while; outside the main thread there are none."""
    stop = StopRequest(patient=patient)
    watched = [signal.SIGINT, signal.SIGTERM]
    in_main_thread = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in watched} if in_main_thread else {}
    try:
        for number in handlers:
            signal.signal(number, stop.note)
        yield stop
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


class Trainer:
    """One run: it updates, validates and saves until it is over or asked to stop.

    Args:
        updates: The model and what changes it.
        validation: What measures it.
        run: Its files.
        on_progress: Called after every update, in the first process.
    """

    def __init__(
        self,
        updates: Updates,
        validation: Validation,
        run: RunFolder,
        on_progress: OnProgress | None,
    ) -> None:
        self.updates, self.validation, self.run = updates, validation, run
        self.config, self.processes = updates.config, updates.processes
        self.clock, self.on_progress = validation.clock, on_progress
        self.stopped = False

    @property
    def share(self) -> float:
        """Share of the run that is over."""
        return self.clock.share(self.updates.step)

    def begin(self, chosen: FitOptions, *, resume: bool) -> None:
        """Go back to the resume point, or write the first: if that fails, it fails at once."""
        if resume:
            read = self.processes.first(lambda: self.run.read(allow_resize=chosen.allow_resize))
            self.restore(read, warm_restart=chosen.warm_restart)
        else:
            self.save()
        self.processes.first(lambda: self.run.write_recipe(chosen.recipe))

    def work(self, stop: StopRequest) -> None:
        """Update until the run is over or a signal asks to stop."""
        self.clock.start(self.clock.before)
        self.validation.preview()
        while (share := self.agree(stop)) < 1 and not self.stopped:
            self.updates.make(share)
            self.report()
            self.validation.after_update(share)
            if self.updates.step % self.config.save_every == 0:
                self.save()
        if not self.stopped:
            self.validation.at_end()
        self.save()
        self.agree(stop)
        stop.act()

    def agree(self, stop: StopRequest) -> float:
        """Share of the run that is over, and whether to stop, the same in all processes."""
        share, number = self.processes.maximum(self.share, stop.signal)
        self.stopped = number > 0
        if self.stopped:  # else one may have come meanwhile, for the next time
            stop.signal = int(number)
        return share

    def report(self) -> None:
        """Call `on_progress`."""
        if self.on_progress is not None and self.processes.is_first:
            done = self.updates
            share, seconds, skipped = min(1.0, self.share), self.clock.seconds, done.spikes.skipped
            with alone():
                self.on_progress(
                    Progress(done.step, share, done.images, seconds, done.running, skipped)
                )

    def save(self) -> None:
        """Write the resume point and the last weights; a full disk stops every process."""
        state = self.state()  # every process has a part in it
        self.processes.first(lambda: self.write(state))

    def write(self, state: dict[str, Any]) -> None:
        """Write them, in the first process."""
        self.run.write(state)
        self.run.write_last(self.updates.kept, {"step": self.updates.step})

    def state(self) -> dict[str, Any]:
        """All that an exact resume needs, as tensors and plain values."""
        return {
            "seconds": self.clock.seconds,
            **self.updates.state(),
            **self.validation.state(),
        }

    def restore(self, state: dict[str, Any], *, warm_restart: bool) -> None:
        """Go back to a `state`, unless the schedule would then raise the learning rate again."""
        self.clock.start(state["seconds"])
        self.updates.restore(state)
        if not warm_restart:
            self.processes.first(lambda: self.updates.check_rate(self.share))
        self.validation.restore(state)

    def finish(self) -> None:
        """Leave the model with its best weights, in evaluation mode, however the run ended."""
        best = self.validation.best["weights"]
        if best is not None:
            self.updates.model.load_state_dict(best)
        channels_last(self.updates.model, undo=True)
        self.updates.model.eval()

    def result(self) -> Result:
        """How the run ended."""
        done, best = self.updates, self.validation.best
        return Result(
            steps=done.step,
            images=done.images,
            seconds=self.clock.seconds,
            best_step=best["step"],
            best_nats=best["nats"],
            skipped=done.spikes.skipped,
        )


@contextmanager
def _torch_threads(count: int | None) -> Iterator[None]:
    """Let torch use so many threads for a while; None: as many as it does."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(before if count is None else count)
        yield
    finally:
        torch.set_num_threads(before)
