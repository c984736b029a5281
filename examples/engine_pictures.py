"""The pictures of docs/engine.md: how models lower, when operations run, what is kept of maps.

    python examples/engine_pictures.py --out docs/images

No box is drawn by hand: operations are those of `model.lower()`; when they run, and how many rows
are kept, is read from the engine's layout. It takes seconds.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from common import keep
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from PIL import Image

import nextpixel as npx
from nextpixel.engine.cpu.layout import ACROSS, PAD, ROWS, TARGET, Layout, lay_out
from nextpixel.program import LATE, PIXEL, ROW, Op, Program, Tap

COLORS = {ROW: "#9cc3e6", PIXEL: "#f6b26b", LATE: "#b6d7a8"}
TIMES = {ROW: "once for the row", PIXEL: "at each pixel", LATE: "once the pixel is drawn"}
KEPT, GONE, ZERO, UNKNOWN, HERE = "#cfe3d4", "#d8d8d8", "#c9b8dd", "#ffffff", "#b03a2e"
MEANING = {
    "taps above: summed for the row": COLORS[ROW],
    "taps in the row: summed at the pixel": COLORS[PIXEL],
    "kept, read by other pixels": KEPT,
    "zeros at both sides": ZERO,
    "no longer kept": GONE,
    "not yet known": UNKNOWN,
}
BOX = (3.0, 0.62)  # width and height of an operation
Place = tuple[float, float]


def lowered(models: Sequence[npx.models.PixelModel]) -> Image.Image:
    """Programs as graphs, side by side; a convolution that is done in two steps has two colors."""
    figure = Figure(figsize=(10.5, 8.6), dpi=100, layout="constrained")
    panels = figure.subplots(1, len(models), sharey=True, width_ratios=[1, 2.2])
    for axes, model in zip(panels, models, strict=True):
        program = model.lower()
        graph(axes, program, runs_at(program, model.shape[2]))
        axes.set_title(
            f"{type(model).__name__}, layers={model.config.layers}, side={model.config.side}",
            fontsize=12,
        )
    patches = [Patch(color=COLORS[when], label=text) for when, text in TIMES.items()]
    figure.legend(handles=patches, loc="outside lower center", ncols=3, frameon=False)
    return picture(figure)


def runs_at(program: Program, width: int) -> dict[int, list[int]]:
    """For each map, the times at which an operation makes it."""
    found: dict[int, list[int]] = {program.image.number: [LATE]}
    for when, phase in enumerate(lay_out(program, width).phases):
        for number in phase.ops[:, TARGET].tolist():
            found.setdefault(number, []).append(when)
    return found


def graph(axes: Axes, program: Program, when: dict[int, list[int]]) -> None:
    """Draw a program from top to bottom, what is known for the row on the left."""
    places = arranged(program)
    for op in program.ops:
        for source in op.inputs:
            arrow(axes, places[source.number], places[op.output.number])
    box(axes, places[program.image.number], ["the image"], [LATE])
    for op in program.ops:
        times = when[op.output.number]
        box(axes, places[op.output.number], words(op, split=len(times) > 1), times)
    columns = [x for x, _ in places.values()]
    axes.set_xlim(min(columns) - 2.1, max(columns) + 2.1)
    lowest = min(y for _, y in places.values())
    axes.set_ylim(min(axes.get_ylim()[0], lowest - 0.5), 0.5)
    axes.set_axis_off()


def arranged(program: Program) -> dict[int, Place]:
    """Where each map stands: below all that it is made of, in two columns where two are needed."""
    depth = {program.image.number: 0}
    taken: set[tuple[int, int]] = {(0, 0), (1, 0)}
    for op in program.ops:
        level = 1 + max(depth[source.number] for source in op.inputs)
        while (op.output.phase, level) in taken:
            level += 1
        taken.add((op.output.phase, level))
        depth[op.output.number] = level
    columns = {kept.number: 4.2 * (kept.phase != ROW) for kept in program.maps}
    middle = sum(set(columns.values())) / len(set(columns.values()))
    columns[program.image.number] = middle
    return {number: (columns[number], -float(level)) for number, level in depth.items()}


def words(op: Op, *, split: bool) -> list[str]:
    """An operation in words: one text, or two for a convolution in two steps."""
    if op.name != "conv":
        return [op.name]
    above = sum(row < 0 for row, _ in op.taps)
    if split:
        return [f"conv: {above} above", f"+ {len(op.taps) - above} left"]
    if op.taps == ((0, 0),):
        return ["conv 1x1"]
    left = len(op.taps) - above
    parts = [f"{above} above"] * (above > 0) + [f"{left} in the row"] * (left > 0)
    return ["conv: " + ", ".join(parts)]


def box(axes: Axes, place: Place, texts: list[str], times: list[int]) -> None:
    (x, y), (width, height) = place, BOX
    share = width / len(times)
    for number, (text, when) in enumerate(zip(texts, times, strict=True)):
        left = x - width / 2 + number * share
        axes.add_patch(Rectangle((left, y - height / 2), share, height, color=COLORS[when], lw=0))
        axes.text(left + share / 2, y, text, ha="center", va="center", fontsize=9)
    edge = Rectangle((x - width / 2, y - height / 2), width, height, fill=False, ec="#444444")
    axes.add_patch(edge)


def arrow(axes: Axes, start: Place, end: Place) -> None:
    """Down to the next box; past boxes that lie between; or across to the other column."""
    (x, y), (to_x, to_y), (width, height) = start, end, BOX
    style, a, b = "arc3", (x, y - height / 2), (to_x, to_y + height / 2)
    if x == to_x and y - to_y > 1:
        outer = 1 if x > 0 else -1
        a, b = (x + outer * width / 2, y), (to_x + outer * width / 2, to_y)
        style = f"arc3,rad={-0.3 * outer}"
    elif x == 0 and to_x > 0:
        a, b = (x + width / 2, y), (to_x - width / 2, to_y)
    line = {"arrowstyle": "-|>", "color": "#444444", "lw": 0.9, "connectionstyle": style}
    axes.annotate("", xy=b, xytext=a, arrowprops={**line, "shrinkA": 0, "shrinkB": 0})


def rings(model: npx.models.PixelModel) -> Image.Image:
    """What one convolution reads, the ring that holds it, and what is kept of all maps."""
    program, width = model.lower(), model.shape[2]
    layout = lay_out(program, width)
    op = next(op for op in program.ops if op.name == "conv" and (0, 0) in op.taps)
    rows, pad = layout.maps[op.inputs[0].number, [ROWS, PAD]].tolist()
    figure = Figure(figsize=(10.5, 6.4), dpi=100, layout="constrained")
    panels = figure.subplot_mosaic("AC;BC", height_ratios=[10, 3.6], width_ratios=[1, 1.05])
    row, column = 7, width // 2
    whole_map(panels["A"], op, (row, column), rows, pad, width)
    ring(panels["B"], op, (row, column), rows, pad, width)
    all_maps(panels["C"], program, layout, width)
    patches = [Patch(fc=color, ec="#9a9a9a", label=text) for text, color in MEANING.items()]
    figure.legend(handles=patches, loc="outside lower center", ncols=3, frameon=False)
    return picture(figure)


def kind_of(op: Op, here: Tap, place: Tap, rows: int, width: int) -> str:
    """The color of a place of a map while the pixel `here` is computed."""
    row, column = place
    if (row - here[0], column - here[1]) in op.taps:
        return COLORS[ROW] if row < here[0] else COLORS[PIXEL]
    if not 0 <= column < width:
        return ZERO
    if row <= here[0] - rows:
        return GONE
    return UNKNOWN if place > here else KEPT


def cells(axes: Axes, colors: list[list[str]], left: int) -> None:
    """Squares, the first row on top; the first column is number `left`."""
    for row, line in enumerate(colors):
        for column, color in enumerate(line):
            square = Rectangle((left + column, row), 1, 1, fc=color, ec="#9a9a9a", lw=0.5)
            axes.add_patch(square)
    axes.set(xlim=(left - 0.1, left + len(colors[0]) + 0.1), ylim=(len(colors) + 0.1, -0.1))
    axes.set(aspect="equal", xticks=[])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def whole_map(axes: Axes, op: Op, here: Tap, rows: int, pad: int, width: int) -> None:
    """The map as if all of it were kept."""
    columns = range(-pad, width + pad)
    shown = range(here[0] + 3)
    cells(axes, [[kind_of(op, here, (r, c), rows, width) for c in columns] for r in shown], -pad)
    axes.add_patch(Rectangle((here[1], here[0]), 1, 1, fill=False, ec=HERE, lw=2.2))
    axes.set_yticks([r + 0.5 for r in shown], [f"row {r}" for r in shown], fontsize=8)
    axes.set_title("what a kernel reads at one pixel (framed)", fontsize=11)


def ring(axes: Axes, op: Op, here: Tap, rows: int, pad: int, width: int) -> None:
    """The same map as it is kept: row r in slot r modulo the rows kept."""
    columns = range(-pad, width + pad)
    held = sorted(range(here[0] - rows + 1, here[0] + 1), key=lambda r: r % rows)
    cells(axes, [[kind_of(op, here, (r, c), rows, width) for c in columns] for r in held], -pad)
    slot = here[0] % rows
    axes.add_patch(Rectangle((here[1], slot), 1, 1, fill=False, ec=HERE, lw=2.2))
    names = [f"slot {r % rows}: row {r}" for r in held]
    axes.set_yticks([s + 0.5 for s in range(rows)], names, fontsize=8)
    axes.set_title(f"its ring of {rows} rows", fontsize=11)


def all_maps(axes: Axes, program: Program, layout: Layout, width: int) -> None:
    """Rows and columns kept of every map, to scale."""
    names = {program.image.number: "the image"}
    names |= {op.output.number: op.name for op in program.ops}
    top = 0.0
    for number, name in names.items():
        rows, pad = layout.maps[number, [ROWS, PAD]].tolist()
        brief = layout.maps[number, ACROSS] == 0
        columns = 1 if brief else width + 2 * pad
        axes.add_patch(Rectangle((0, top), columns, rows, fc=KEPT, ec="#555555", lw=0.8))
        for line in range(1, rows):
            axes.plot([0, columns], [top + line] * 2, color="#9a9a9a", lw=0.5)
        text = "one column" if brief else f"{rows} x {columns}"
        axes.text(-0.7, top + rows / 2, name, ha="right", va="center", fontsize=9)
        axes.text(columns + 0.6, top + rows / 2, text, va="center", fontsize=9)
        top += rows + 1.1
    axes.set(xlim=(-4.5, width + 11), ylim=(top, -0.3), aspect="equal")
    axes.set_axis_off()
    axes.set_title("rows x columns kept of each map", fontsize=11)


def picture(figure: Figure) -> Image.Image:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").quantize(64)


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the pictures of docs/engine.md.")
    parser.add_argument("--quick", action="store_true", help="the same: nothing here is slow")
    parser.add_argument("--out", type=Path, default=Path("runs/engine_pictures"), help="folder")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    plain = npx.build("pixelcnn", seed=0, shape=(1, 8, 8), levels=4, features=4, layers=2, side=3)
    gated = npx.build(
        "gated-pixelcnn", seed=0, shape=(1, 8, 8), levels=4, features=4, layers=1, first_side=3
    )
    wide = npx.build("pixelcnn", seed=0, shape=(1, 12, 12), levels=4, features=4, layers=2, side=5)
    keep(lowered([plain, gated]), out / "engine-lowered.png", "two small models as programs")
    keep(rings(wide), out / "engine-rings.png", "what is kept of feature maps")


if __name__ == "__main__":
    main()
