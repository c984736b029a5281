"""Progress on standard error: a bar on a terminal; elsewhere a line now and then, or nothing."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Never

from tqdm import tqdm

if TYPE_CHECKING:
    from nextpixel.training import Progress

_SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def counting(total: int, unit: str, *, shown: bool = True) -> Iterator[Callable[[int], None]]:
    """Show how many of `total` are done; yields the function to call with that number.

    Args:
        total: How many there are.
        unit: What they are.
        shown: False for a process that prints nothing.
    """
    hidden = not (shown and on_terminal())
    with tqdm(total=total, unit=unit, leave=False, disable=hidden) as bar:
        yield lambda done: _advance(bar, done)


@contextmanager
def training() -> Iterator[Callable[["Progress"], None]]:
    """Show a training run: images a second, nats per image so far, time left."""
    if not on_terminal():
        yield _Lines()
        return
    with tqdm(total=1.0, bar_format="{percentage:3.0f}%|{bar}| {desc}") as bar:

        def show(progress: "Progress") -> None:
            bar.set_description_str(describe(progress), refresh=False)
            _advance(bar, progress.share)

        yield show


def describe(progress: "Progress") -> str:
    """One line about a training run."""
    minutes, seconds = divmod(round(progress.seconds_left), 60)
    left_out = f"{progress.skipped:,} updates left out, " if progress.skipped else ""
    return (
        f"step {progress.step:,}, {progress.images_per_second:,.0f} images/s, "
        f"{progress.nats:z.2f} nats per image, {left_out}{minutes}:{seconds:02d} left"
    )


def on_terminal() -> bool:
    """Whether anybody watches standard error."""
    return sys.stderr.isatty()


class _Lines:
    """A line every few seconds, the first after the first update."""

    def __init__(self) -> None:
        self.last = -_SECONDS_BETWEEN_LINES

    def __call__(self, progress: "Progress") -> None:
        now = time.monotonic()
        if now - self.last >= _SECONDS_BETWEEN_LINES or progress.share >= 1:
            self.last = now
            print(f"{progress.share:4.0%} {describe(progress)}", file=sys.stderr, flush=True)


def _advance(bar: "tqdm[Never]", done: float) -> None:
    bar.update(done - bar.n)
