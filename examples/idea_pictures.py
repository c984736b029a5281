"""The pictures of docs/ideas.md and docs/start.md: all of them computed, none drawn by hand.

    python examples/idea_pictures.py --out docs/images

Masks are those of `nextpixel.nn.masks`, fields those of the audit, distributions and digits those
of models that come with the package. It takes about a minute; --quick leaves out the audits.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

import nextpixel as npx
from nextpixel.audit import field_of
from nextpixel.nn.lstm import skew
from nextpixel.nn.masks import causal_mask
from nextpixel.order import Step

PAST, HERE, FUTURE, BLIND = "#9cc3e6", "#b03a2e", "#ececec", "#f6b26b"
INK, EDGE = "#22313f", "#8c8c8c"
Cells = list[list[str]]


def past_picture() -> Figure:
    """A digit half drawn, and what the model says of the next pixel."""
    model = npx.load("digits17-gated")
    split = npx.load_data("digits").test
    levels, label = split.levels[1:2], split.labels[1:2]
    row, column = 3, 3
    with torch.no_grad():
        p = model(levels, label).logits[0, 0, row, column].exp()
    figure, (left, right) = panels(2, 7.4, 2.9, width_ratios=[1, 1.5])
    known = torch.arange(64).view(8, 8) < row * 8 + column
    shades = np.where(known, 1 - levels[0, 0] / 16, 0.93)
    left.imshow(shades, cmap="gray", vmin=0, vmax=1)
    left.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, ec=HERE, lw=2.2))
    left.set(xticks=[], yticks=[], title="known so far, and the next pixel")
    right.bar(range(17), p, color=PAST)
    true = int(levels[0, 0, row, column])
    right.bar([true], p[true], color=HERE)
    bits = -np.log2(float(p[true]))
    right.set(
        xlabel="level",
        xticks=range(0, 17, 4),
        title=f"its distribution; the true level costs {bits:.2f} bits",
    )
    right.spines[["top", "right"]].set_visible(False)
    return figure


def cells(axes: Axes, colors: Cells, title: str, words: list[list[str]] | None = None) -> None:
    """Squares in these colors, the first row on top."""
    for row, line in enumerate(colors):
        for column, color in enumerate(line):
            axes.add_patch(Rectangle((column, row), 1, 1, fc=color, ec=EDGE, lw=0.6))
            if words:
                place = (column + 0.5, row + 0.5)
                axes.text(*place, words[row][column], ha="center", va="center", fontsize=8)
    axes.set(xlim=(-0.1, len(colors[0]) + 0.1), ylim=(len(colors) + 0.1, -0.1), aspect="equal")
    axes.set_axis_off()
    axes.set_title(title, fontsize=9)


def mask_picture() -> Figure:
    """Masks A and B of a 5x5 kernel, and who sees whom among the colors of one pixel."""
    figure, axes = panels(4, 9.2, 2.5)
    for place, (name, sees_self) in zip(axes[:2], (("A", False), ("B", True)), strict=True):
        mask = causal_mask(5, 1, sees_self=sees_self)[0, 0].numpy()
        whole = np.concatenate([mask, np.zeros((2, 5), bool)])
        colors = [[PAST if seen else FUTURE for seen in line] for line in whole]
        cells(place, colors, f"mask {name}, one color")
        place.add_patch(Rectangle((2, 2), 1, 1, fill=False, ec=HERE, lw=2.2))
    for place, (name, sees_self) in zip(axes[2:], (("A", False), ("B", True)), strict=True):
        mask = causal_mask(1, 3, sees_self=sees_self)[..., 0, 0].numpy()
        colors = [[PAST if seen else FUTURE for seen in line] for line in mask]
        cells(place, colors, f"mask {name}, at the centre")
        for number, color in enumerate("RGB"):
            place.text(-0.3, number + 0.5, f"{color} sees", ha="right", va="center", fontsize=8)
            place.text(number + 0.5, 3.4, color, ha="center", va="center", fontsize=8)
        place.set(xlim=(-1.9, 3.1), ylim=(3.8, -0.1))
    return figure


def grow(masks: list[np.ndarray], side: int) -> np.ndarray:
    """What the middle of an image sees through a stack of masked kernels, the last one first."""
    seen = np.zeros((side, side), bool)
    seen[side // 2, side // 2] = True
    for mask in masks:
        wider, reach = np.zeros_like(seen), mask.shape[1] // 2
        for row, column in np.argwhere(mask) - (reach, reach):
            wider |= np.roll(seen, (row, column), (0, 1))
        seen = wider
    return seen


def only_a_picture() -> Figure:
    """Three layers: mask A once and then B, against A everywhere."""
    side, figure = 9, None
    a, b = (causal_mask(3, 1, sees_self=sees)[0, 0].numpy() for sees in (False, True))
    figure, axes = panels(2, 5.4, 2.9)
    for place, title, stack in (
        (axes[0], "A, then B, then B", [b, b, a]),
        (axes[1], "A, then A, then A", [a, a, a]),
    ):
        seen = grow(stack, side)
        cells(place, field(seen, np.zeros_like(seen)), f"{title}: {int(seen.sum())} pixels")
        place.add_patch(Rectangle((side // 2,) * 2, 1, 1, fill=False, ec=HERE, lw=2))
    return figure


def field(seen: np.ndarray, blind: np.ndarray) -> Cells:
    """Colors of what a step sees, and of what it is blind to."""
    pairs = [zip(*lines, strict=True) for lines in zip(seen, blind, strict=True)]
    return [[PAST if s else BLIND if b else FUTURE for s, b in line] for line in pairs]


def blind_picture() -> Figure:
    """The audited fields of one masked stack and of two gated stacks."""
    size = {"shape": (1, 13, 13), "levels": 4, "features": 8, "side": 3}
    models = {
        "one masked stack": npx.build("pixelcnn", seed=0, layers=5, **size),
        "two gated stacks": npx.build("gated-pixelcnn", seed=0, layers=4, first_side=3, **size),
    }
    figure, axes = panels(2, 6.4, 3.4)
    for place, (name, model) in zip(axes, models.items(), strict=True):
        found = npx.audit(model)
        step = found.centre()
        seen, blind = found.field(step)[0].numpy(), found.blind(step)[0].numpy()
        text = f"{name}\nsees {seen.sum()}, blind to {blind.sum()}"
        cells(place, field(seen, blind), text)
        place.add_patch(Rectangle((step.column, step.row), 1, 1, fill=False, ec=HERE, lw=2))
    patches = [Patch(color=PAST, label="seen"), Patch(color=BLIND, label="blind spot")]
    figure.legend(handles=patches, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure


def stacks_picture() -> Figure:
    """Which pixels each of the two stacks reads at one layer, by the taps of the program."""
    model = npx.build(
        "gated-pixelcnn", seed=0, shape=(1, 9, 9), levels=2, layers=2, features=4, side=3
    )
    convs = [op for op in model.lower().ops if op.name == "conv" and op.taps != ((0, 0),)]
    figure, axes = panels(3, 7.6, 2.7)
    upper = next(op for op in convs[2:] if min(row for row, _ in op.taps) < 0)
    left = next(op for op in convs[2:] if all(row == 0 for row, _ in op.taps))
    for place, title, op in (
        (axes[0], "a layer of the vertical stack", upper),
        (axes[1], "a layer of the horizontal stack", left),
    ):
        colors = [
            [PAST if (r - 2, c - 2) in op.taps else FUTURE for c in range(5)] for r in range(5)
        ]
        cells(place, colors, title)
        place.add_patch(Rectangle((2, 2), 1, 1, fill=False, ec=HERE, lw=2))
    gate(axes[2])
    return figure


def gate(axes: Axes) -> None:
    """The gate's output for the sum that goes into its tanh, at three sums into its sigmoid."""
    x = np.linspace(-4, 4, 200)
    for other, color in ((-2, "#b6b6b6"), (0, PAST), (2, INK)):
        axes.plot(x, np.tanh(x) / (1 + np.exp(-other)), color=color, label=f"g = {other}")
    axes.set(title="the gate: tanh(f) sigmoid(g)", xlabel="f", ylim=(-1.05, 1.05))
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def condition_picture() -> Figure:
    """One row: the same noise, ten classes."""
    model = npx.load("mnist2-gated-class")
    figure, axes = panels(20, 9.2, 2.3, rows=2)
    for row, seed in enumerate((0, 1)):
        for digit in range(10):
            rng = torch.Generator().manual_seed(seed)
            found = npx.sample(model, 1, condition=torch.tensor([digit]), rng=rng)
            image(axes[row * 10 + digit], found[0, 0], 2, f"class {digit}" if row == 0 else "")
    return figure


def image(axes: Axes, levels: torch.Tensor, count: int, title: str) -> None:
    axes.imshow(levels.numpy(), cmap="gray_r", vmin=0, vmax=count - 1)
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=9)


def colors_picture() -> Figure:
    """Who sees whom among the colors of the middle pixel, audited; rows see columns."""
    figure, axes = panels(2, 5.0, 2.4)
    size = {"shape": (3, 5, 5), "levels": 2, "features": 24, "layers": 2, "side": 3}
    for place, mode in zip(axes, ("dependent", "independent"), strict=True):
        found = npx.audit(npx.build("pixelcnn", seed=0, colors=mode, **size))
        seen = torch.stack([found.field(step)[:, 2, 2] for step in middle()]).numpy()
        cells(place, field(seen, np.zeros_like(seen)), f"{mode} colors, one pixel")
        for number, color in enumerate("RGB"):
            place.text(-0.2, number + 0.5, f"p({color})", ha="right", va="center", fontsize=8)
            place.text(number + 0.5, 3.4, color, ha="center", va="center", fontsize=8)
        place.set(xlim=(-1.2, 3.1), ylim=(3.8, -0.1))
    return figure


def middle() -> list[Step]:
    return [Step(2, 2, color) for color in range(3)]


def protocol_picture() -> Figure:
    """One digit by the protocols."""
    figure, axes = panels(5, 8.2, 2.0)
    pixels = npx.load_data("mnist", levels=256).test.pixels[:1]
    shown = {
        "8-bit pixels": (pixels, 256),
        "threshold": (npx.load_data("mnist", levels=2).test.levels[:1], 2),
        "quantized, 4": (npx.load_data("mnist", levels=4).test.levels[:1], 4),
    }
    dynamic = npx.load_data("mnist", levels=2, protocol="dynamic").test
    for number in (1, 2):
        rng = torch.Generator().manual_seed(number)
        shown[f"dynamic, draw {number}"] = (dynamic.draw(torch.tensor([0]), rng), 2)
    for place, (title, (levels, count)) in zip(axes, shown.items(), strict=True):
        image(place, levels[0, 0], count, title)
    return figure


def work_picture() -> Figure:
    """Places of one hidden map that are computed to draw one pixel."""
    figure, axes = panels(2, 5.4, 2.9)
    side, here = 10, (5, 4)
    for place, title in ((axes[0], "the whole network"), (axes[1], "the step engine")):
        new = np.ones((side, side), bool) if place is axes[0] else np.zeros((side, side), bool)
        new[here] = True
        colors = [[BLIND if n else FUTURE for n in line] for line in new]
        if place is axes[1]:
            kept = np.arange(side * side).reshape(side, side) < here[0] * side + here[1]
            colors = [
                [PAST if k else color for k, color in zip(*lines, strict=True)]
                for lines in zip(kept, colors, strict=True)
            ]
        cells(place, colors, f"{title}: {int(new.sum())} of {side * side} computed")
        place.add_patch(Rectangle(here[::-1], 1, 1, fill=False, ec=HERE, lw=2))
    patches = [Patch(color=BLIND, label="computed now"), Patch(color=PAST, label="known already")]
    figure.legend(handles=patches, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure


def cells_picture() -> Figure:
    """The audited fields of a net of row cells, and of two nets of diagonal cells."""
    size = {"shape": (1, 11, 11), "levels": 2, "features": 4, "cells": 4, "layers": 1}
    figure, axes = panels(3, 8.6, 3.3)
    for place, name, column, options in (
        (axes[0], "row-lstm", 5, {}),
        (axes[1], "diagonal-bilstm", 1, {}),
        (axes[2], "diagonal-bilstm", 1, {"whole_rows": True}),
    ):
        model = npx.build(name, seed=0, first_side=3, **size, **options)
        step = Step(9, column, 0)
        seen = field_of(model, step)[0].numpy()
        blind = past_of(step, 11) & ~seen
        words = "".join(f", {key}={value}" for key, value in options.items())
        text = f"{name}{words}\nsees {seen.sum()}, misses {blind.sum()}"
        cells(place, field(seen, blind), text)
        place.add_patch(Rectangle((column, step.row), 1, 1, fill=False, ec=HERE, lw=2))
    patches = [Patch(color=PAST, label="seen"), Patch(color=BLIND, label="past, never seen")]
    figure.legend(handles=patches, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure


def past_of(step: Step, side: int) -> np.ndarray:
    """Pixels before a step, in an image of one color, side x side."""
    return np.arange(side * side).reshape(side, side) < step.row * side + step.column


def skew_picture() -> Figure:
    """The step at which each cell of a diagonal layer is computed, in the image and skewed."""
    height, width, (row, column) = 5, 6, (2, 3)
    steps = torch.arange(height)[:, None] + torch.arange(width)
    skewed = skew(steps.view(1, height, width, 1) + 1)[:, 0, :, 0].T - 1  # -1: empty
    figure, (left, right) = panels(2, 7.6, 2.9, width_ratios=[width, height + width - 1])
    for place, title, numbers, here, sources in (
        (left, "the image", steps, (column, row), ((column - 1, row), (column, row - 1))),
        (right, "skewed", skewed, *moved(row, column)),
    ):
        colors = [[FUTURE if n < 0 else shade(n) for n in line] for line in numbers.tolist()]
        words = [["" if n < 0 else str(n) for n in line] for line in numbers.tolist()]
        cells(place, colors, title, words)
        place.add_patch(Rectangle(here, 1, 1, fill=False, ec=HERE, lw=2.2))
        for source in sources:
            arrow(place, source, here)
    figure.supxlabel("number and shade: the step; arrows: the two cells that a cell reads", size=9)
    return figure


def moved(row: int, column: int) -> tuple[tuple[int, int], tuple[tuple[int, int], ...]]:
    """Where a cell is in the skewed map, and where those to its left and above it are."""
    across = row + column
    return (across, row), ((across - 1, row), (across - 1, row - 1))


def shade(step: int) -> str:
    """A blue that gets darker with the step."""
    return mpl.colors.to_hex(mpl.colormaps["Blues"](0.08 + 0.055 * step))


def arrow(axes: Axes, source: tuple[int, int], target: tuple[int, int]) -> None:
    """From the middle of one square to that of another, short of the words in them."""
    ends = [(x + 0.5, y + 0.5) for x, y in (target, source)]
    style = {"arrowstyle": "-|>", "color": HERE, "lw": 1.4, "shrinkA": 6, "shrinkB": 6}
    axes.annotate("", *ends, arrowprops=style)


def panels(
    count: int, width: float, height: float, *, rows: int = 1, **grid: object
) -> tuple[Figure, list[Axes]]:
    """A figure on white, and its panels from left to right."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    found = figure.subplots(rows, count // rows, gridspec_kw=grid or None, squeeze=False)
    return figure, list(found.flat)


QUICK: dict[str, Callable[[], Figure]] = {
    "past": past_picture,
    "masks": mask_picture,
    "only-a": only_a_picture,
    "stacks": stacks_picture,
    "protocols": protocol_picture,
    "work": work_picture,
    "skew": skew_picture,
}
SLOW: dict[str, Callable[[], Figure]] = {
    "blind-spot": blind_picture,
    "condition": condition_picture,
    "colors": colors_picture,
    "cells": cells_picture,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the pictures of docs/ideas.md.")
    parser.add_argument("--quick", action="store_true", help="leave out audits and samples")
    parser.add_argument("--out", type=Path, default=Path("runs/idea_pictures"), help="folder")
    found = parser.parse_args()
    found.out.mkdir(parents=True, exist_ok=True)
    mpl.rcParams.update({"font.size": 9, "axes.titlesize": 9, "svg.hashsalt": "nextpixel"})
    for name, make in (QUICK if found.quick else QUICK | SLOW).items():
        path = found.out / f"ideas-{name}.svg"
        make().savefig(path, format="svg", metadata={"Date": None}, facecolor="white")
        print(f"{path}: {(make.__doc__ or '').splitlines()[0]}")


if __name__ == "__main__":
    main()
