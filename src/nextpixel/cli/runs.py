"""`nextpixel runs`: the runs below a folder with their best figures, and their curves in one."""

import sys
from collections.abc import Sequence
from pathlib import Path

from nextpixel.errors import NextPixelError
from nextpixel.training.runs import METRICS, Summary, find_runs, summarize

_HEAD = ("run", "step", "best", "validation nats", "test nats", "parameters", "time")


def runs(folder: Path = Path("runs"), /, *, curves: Path | None = None) -> None:
    """List the runs at or below a folder, the likeliest validation images first.

    "best" is the step with the likeliest validation images; ~ marks test figures of the curve,
    which are of some of the test images only.

    Args:
        folder: Where to look.
        curves: Picture of the curves of all of them on test images, a .png file.
    """
    if curves is not None and curves.suffix.lower() != ".png":
        raise ValueError(f"curves must end in .png, got {str(curves)!r}")
    found = sorted(_readable(list(find_runs(folder))), key=_rank)
    if not found:
        raise NextPixelError(f"{folder} holds no run that can be read")
    names = {run.folder: str(run.folder.relative_to(folder)) for run in found}
    _print_table([_HEAD, *(_row(names[run.folder], run) for run in found)])
    if curves is not None:
        from nextpixel import gallery

        chosen = {names[run.folder]: run.folder / METRICS for run in found if run.step is not None}
        gallery.save(gallery.compare(chosen), curves)


def _readable(folders: Sequence[Path]) -> list[Summary]:
    found = []
    for folder in folders:
        try:
            found.append(summarize(folder))
        except NextPixelError as error:
            print(f"nextpixel: warning: left out: {error}", file=sys.stderr)
    return found


def _rank(run: Summary) -> tuple[float, str]:
    worst = float("inf")
    return (worst if run.validation_nats is None else run.validation_nats, str(run.folder))


def _row(name: str, run: Summary) -> tuple[str, ...]:
    mark = "" if run.all_test_images else "~"
    return (
        name,
        _say(run.step, "{:,}"),
        _say(run.best_step, "{:,}"),
        _say(run.validation_nats, "{:.2f}"),
        _say(run.test_nats, mark + "{:.2f}"),
        _say(run.parameters, "{:,}"),
        "-" if run.seconds is None else _clock(run.seconds),
    )


def _say(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = [f"{first:{widths[0]}}"]
        cells += [f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True)]
        print("  ".join(cells))
