"""Plots: the course of a training run, and what one step of a model sees.

matplotlib is imported inside the functions, and without pyplot, so that no window system, no global
state and no second of start-up time comes with this package.
"""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from nextpixel.errors import NextPixelError
from nextpixel.order import Shape, Step, index_of, steps

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CURVES = {
    "train_nats": ("train (training mode, batch means)", "tab:blue"),
    "validation_nats": ("validation", "tab:green"),
    "test_nats": ("test", "tab:red"),
}
SEEN, BLIND, BEYOND, STEP, FUTURE, LEAK = range(6)
_KINDS = {
    SEEN: ("past, seen", "#2b7bba"),
    BLIND: ("past, unseen: blind spot", "#f2a541"),
    BEYOND: ("past, out of reach", "#c9d6e2"),
    STEP: ("the step", "#111111"),
    FUTURE: ("future", "#f4f4f4"),
    LEAK: ("future or itself, SEEN: a leak", "#d62728"),
}


def curves(metrics: str | Path) -> Image.Image:
    """Plot the losses of a training run against its steps, in nats per image.

    Args:
        metrics: A `metrics.csv` with columns `step`, `train_nats`, `validation_nats` and
            `test_nats`, where a cell may be empty.

    Raises:
        NextPixelError: If the file cannot be read or has no losses.
    """
    from matplotlib.figure import Figure

    series = _read_series(Path(metrics))
    figure = Figure(figsize=(7, 4.2), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    for name, points in series.items():
        label, color = _CURVES[name]
        marker = "o" if name != "train_nats" and len(points) < 40 else None
        axes.plot(*zip(*points, strict=True), label=label, color=color, marker=marker, ms=3, lw=1.2)
    axes.set_ylim(*_limits(series.values()))
    axes.set(xlabel="step", ylabel="nats per image")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return _to_picture(figure)


def compare(metrics: Mapping[str, str | Path]) -> Image.Image:
    """Plot the curves of several runs in one picture, in nats per image.

    Args:
        metrics: A `metrics.csv` for each name in the legend. The curve is that of the test images,
            or of the validation images, dashed, in a run without test figures.

    Raises:
        ValueError: If there are no runs.
        NextPixelError: If a file cannot be read or has no losses.
    """
    if not metrics:
        raise ValueError("metrics must be the tables of one run or more, got none")
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    colors = colormaps["tab10" if len(metrics) <= 10 else "tab20"]
    shown = []
    for number, (name, path) in enumerate(metrics.items()):
        series = _read_series(Path(path))
        tested = "test_nats" in series
        points = series.get("test_nats") or series.get("validation_nats", [])
        if not points:
            raise NextPixelError(f"{path} holds no likelihoods of held-out images")
        shown.append(points)
        line, label = ("-", name) if tested else ("--", f"{name} (validation)")
        color = colors(number % colors.N)
        axes.plot(*zip(*points, strict=True), line, label=label, color=color, marker=".", lw=1.2)
    axes.set_ylim(*_joint_limits(shown))
    axes.set(xlabel="step", ylabel="nats per image, test images")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", frameon=False, fontsize=9)
    return _to_picture(figure)


def receptive_field(field: Tensor, step: Step, *, blind: Tensor | None = None) -> Image.Image:
    """Draw which levels the prediction of one step depends on.

    Args:
        field: Nonzero where it depends on the level there, shape (C, H, W).
        step: The step.
        blind: Boolean, shape (C, H, W): unseen levels to call its blind spot; the rest of the
            unseen past is out of reach. None calls all of the unseen past blind.

    Returns:
        The picture, with a panel for each color and a legend.
    """
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    kinds = field_kinds(field, step, blind=blind)
    colors = ListedColormap([color for _, color in _KINDS.values()])
    figure = Figure(figsize=(4.2 * len(kinds), 5), dpi=100, layout="constrained")
    for color, kind in enumerate(kinds):
        axes = figure.add_subplot(1, len(kinds), color + 1)
        axes.pcolormesh(kind[::-1], cmap=colors, vmin=0, vmax=5, edgecolors="white", lw=0.3)
        axes.set(aspect="equal", xticks=[], yticks=[])
        axes.set_title(f"levels of color {color}" if len(kinds) > 1 else "", fontsize=9)
    figure.suptitle(f"what row {step.row}, column {step.column}, color {step.color} sees")
    patches = [Patch(color=_KINDS[kind][1], label=_KINDS[kind][0]) for kind in np.unique(kinds)]
    figure.legend(handles=patches, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return _to_picture(figure)


def field_kinds(field: Tensor, step: Step, *, blind: Tensor | None = None) -> NDArray[np.int64]:
    """What each level is to one step, as SEEN, BLIND, BEYOND, STEP, FUTURE or LEAK, (C, H, W)."""
    seen = (field != 0).cpu().numpy()
    past = _past(step, seen.shape)
    unseen = BLIND if blind is None else np.where(blind.cpu().numpy(), BLIND, BEYOND)
    kinds = np.where(past, np.where(seen, SEEN, unseen), np.where(seen, LEAK, FUTURE))
    here = (step.color, step.row, step.column)
    if not seen[here]:
        kinds[here] = STEP
    return kinds


def _past(step: Step, shape: Shape) -> NDArray[np.bool_]:
    past = np.zeros(shape, bool)
    before = index_of(step, shape)
    for index, (row, column, color) in enumerate(steps(shape)):
        past[color, row, column] = index < before
    return past


def _read_series(path: Path) -> dict[str, list[tuple[float, float]]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        points = {
            name: [(float(row["step"]), float(row[name])) for row in rows if row.get(name)]
            for name in _CURVES
        }
    except OSError as error:
        raise NextPixelError(f"{path} cannot be read: {error.strerror}") from error
    except (KeyError, ValueError, TypeError, csv.Error) as error:
        raise NextPixelError(f"{path} is no table of training metrics: {error}") from error
    if not any(points.values()):
        raise NextPixelError(f"{path} holds no losses yet")
    return {name: found for name, found in points.items() if found}


def _limits(series: Iterable[list[tuple[float, float]]]) -> tuple[float, float]:
    """Bounds of the losses after the first tenth of the run, whose fall would flatten the rest."""
    points = [point for found in series for point in found]
    last = max(step for step, _ in points)
    losses = [loss for step, loss in points if step >= last / 10]
    low, high = min(losses), max(losses)
    margin = 0.08 * (high - low) or 1.0
    return low - margin, high + margin


def _joint_limits(curves: list[list[tuple[float, float]]]) -> tuple[float, float]:
    """Bounds that show all of each curve but the fall in its own first tenth."""
    bounds = [_limits([curve]) for curve in curves]
    return min(low for low, _ in bounds), max(high for _, high in bounds)


def _to_picture(figure: "Figure") -> Image.Image:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
