"""What attention looks at when one pixel of a digit is predicted: a picture of docs/ideas.md.

    python examples/attention_picture.py --out docs/images

The weights are computed anew, from the queries and keys that the layers make of the digit. They
are checked: their sum is one, and the mean of the values by them is what the layer itself lets out.
It takes seconds.
"""

import argparse
import math
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor, nn

import nextpixel as npx
from nextpixel.models.pixelsnail import Attention
from nextpixel.nn.attention import to_tokens

MODEL = "mnist-snail"
DIGIT, ROW, COLUMN = 1, 23, 20
HERE, FUTURE = "#b03a2e", "#ececec"


def caught(model: nn.Module, modules: list[nn.Module], levels: Tensor) -> list[Tensor]:
    """What modules let out while the model predicts images."""
    outputs: dict[nn.Module, Tensor] = {}

    def keep(module: nn.Module, _: object, output: Tensor) -> None:
        outputs[module] = output

    hooks = [module.register_forward_hook(keep) for module in modules]
    with torch.inference_mode():
        model(levels)
    for hook in hooks:
        hook.remove()
    return [outputs[module] for module in modules]


def weights_of(model: nn.Module, layer: Attention, levels: Tensor, pixel: int) -> Tensor:
    """How much a pixel attends to each one before it, (heads, pixel), of one image.

    Raises:
        ValueError: If pixels share keys: a weight would then belong to several.
    """
    if layer.pool > 1:
        raise ValueError(f"a key must stand for one pixel, here it stands for {layer.pool}")
    modules = [layer.query, layer.key, layer.value, layer]
    query, key, value, made = (
        to_tokens(one, layer.heads)[0] for one in caught(model, modules, levels)
    )
    products = (key[:, :pixel] @ query[:, pixel, :, None])[..., 0]
    weights = torch.softmax(products / math.sqrt(query.shape[-1]), -1)
    gathered = (weights[:, None] @ value[:, :pixel])[:, 0]
    torch.testing.assert_close(weights.sum(-1), torch.ones(layer.heads))
    torch.testing.assert_close(gathered, made[:, pixel], rtol=1e-4, atol=1e-5)
    return weights


def maps_of(model: npx.models.PixelModel, levels: Tensor, pixel: int) -> dict[str, Tensor]:
    """The weights of all blocks and heads as maps; NaN from the pixel itself on."""
    layers = [module for module in model.modules() if isinstance(module, Attention)]
    maps = {}
    for number, layer in enumerate(layers, 1):
        for head, weights in enumerate(weights_of(model, layer, levels, pixel), 1):
            name = f"block {number}" + (f", head {head}" if layer.heads > 1 else "")
            whole = levels.new_full(levels.shape[2:], math.nan, dtype=weights.dtype)
            whole.view(-1)[:pixel] = weights
            maps[name] = whole
    return maps


def show(axes: Axes, title: str, draw: Callable[[Axes], object], place: tuple[int, int]) -> object:
    """One panel, with a frame around the pixel."""
    made = draw(axes)
    row, column = place
    axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, ec=HERE, lw=1.8))
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=9)
    return made


def digit_shades(levels: Tensor, pixel: int) -> np.ndarray:
    """The digit's shades: ink dark where it is before the pixel, light where it is not."""
    ink = levels[0, 0].numpy()
    before = np.arange(ink.size).reshape(ink.shape) < pixel
    return np.where(before, 1 - 0.85 * ink, 0.93 - 0.15 * ink)


def outline(axes: Axes, levels: Tensor, pixel: int) -> None:
    """The outline of the ink before the pixel, to see where the weights lie."""
    ink = levels[0, 0].numpy().astype(float)
    ink.reshape(-1)[pixel:] = 0
    fine = np.kron(ink, np.ones((8, 8)))
    steps = (np.arange(len(fine)) + 0.5) / 8 - 0.5
    axes.contour(steps, steps, fine, levels=[0.5], colors="#8c8c8c", linewidths=0.6)


def picture(
    model: npx.models.PixelModel, levels: Tensor, place: tuple[int, int]
) -> tuple[Figure, dict[str, Tensor]]:
    """The digit with its framed pixel, and the weights of each block at this pixel."""
    pixel = place[0] * levels.shape[3] + place[1]
    maps = maps_of(model, levels, pixel)
    figure = Figure(figsize=(2.5 + 2.9 * len(maps), 2.8), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    first, *others = figure.subplots(1, 1 + len(maps))
    shades = digit_shades(levels, pixel)
    show(first, "the digit", lambda a: a.imshow(shades, cmap="gray", vmin=0, vmax=1), place)
    colors = mpl.colormaps["Blues"].with_extremes(bad=FUTURE)
    for axes, (name, weights) in zip(others, maps.items(), strict=True):
        shown = show(axes, name, lambda a, w=weights: a.imshow(w, cmap=colors, vmin=0), place)
        outline(axes, levels, pixel)
        figure.colorbar(shown, ax=axes, shrink=0.8)
    return figure, maps


def in_words(weights: Tensor, levels: Tensor) -> str:
    """Where the most weight lies, over how many pixels it is spread, and how much is on ink."""
    each = weights.nan_to_num(0).view(-1)
    spread = float(torch.exp(torch.special.entr(each).sum()))
    most, (row, column) = float(each.max()), divmod(int(each.argmax()), weights.shape[1])
    ink = float(each[levels.view(-1) > 0].sum())
    return (
        f"most, {most:.3f}, at row {row}, column {column}; spread as over {spread:.0f} equal "
        f"pixels; {ink:.1%} of it on ink"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw what attention looks at for one pixel.")
    parser.add_argument("--quick", action="store_true", help="no difference: it takes seconds")
    parser.add_argument("--out", type=Path, default=Path("runs/attention"), help="folder")
    parser.add_argument("--snail", default=MODEL, help="a PixelSNAIL: its name or folder")
    parser.add_argument("--digit", type=int, default=DIGIT, help="number of the test image")
    parser.add_argument("--pixel", type=int, nargs=2, default=(ROW, COLUMN), help="row and column")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    mpl.rcParams.update({"font.size": 9, "svg.hashsalt": "nextpixel"})
    model, (row, column) = npx.load(asked.snail), asked.pixel
    images = npx.load_data("mnist", levels=2, protocol="dynamic").test.levels
    levels = images[asked.digit : asked.digit + 1].long()
    made, maps = picture(model, levels, (row, column))
    path = asked.out / "ideas-attention.svg"
    made.savefig(path, format="svg", metadata={"Date": None}, facecolor="white")
    print(f"{path}: what attention looks at for row {row}, column {column}")
    for name, weights in maps.items():
        print(f"{name}: {in_words(weights, levels)}")


if __name__ == "__main__":
    main()
