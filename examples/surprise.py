"""Where the bits of a digit go: the surprise of every pixel, and what PNG takes.

    python examples/surprise.py --out docs/images

The surprise of a pixel is -log2 of its probability given all pixels before it. The surprises of a
digit sum to the bits that an archive needs for it. It takes seconds.
"""

import argparse
import io
import math
from pathlib import Path

import numpy as np
import torch
from common import keep
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from nextpixel.codec import compress
from numpy.typing import NDArray
from PIL import Image

import nextpixel as npx
from nextpixel.images import to_pixels

MODEL = "mnist2-gated"


def surprises(model: npx.models.PixelModel, levels: torch.Tensor) -> torch.Tensor:
    """Bits of every sub-pixel given those before it, shape (N, C, H, W)."""
    with torch.inference_mode():
        return -model(levels).log_prob(levels) / math.log(2)


def png_bytes(levels: torch.Tensor, level_count: int) -> int:
    """Bytes of a grey image (1, H, W) as a file; a bit a pixel where there are two levels."""
    picture, stream = Image.fromarray(to_pixels(levels[0], level_count).numpy()), io.BytesIO()
    (picture.convert("1") if level_count == 2 else picture).save(stream, "png", optimize=True)
    return stream.tell()


def draw(model: npx.models.PixelModel, levels: torch.Tensor) -> Image.Image:
    """Digits in the first row, their surprises in the second."""
    bits = surprises(model, levels)[:, 0].numpy()
    figure = Figure(figsize=(1.8 * len(levels) + 0.7, 4.1), dpi=100, layout="constrained")
    panels = figure.subplots(2, len(levels), squeeze=False)
    for column, digit in enumerate(levels):
        total, png = float(bits[column].sum()), png_bytes(digit, model.levels)
        panels[0, column].imshow(digit[0].numpy(), cmap="gray", vmin=0, vmax=model.levels - 1)
        panels[0, column].set_title(f"PNG {png} bytes", fontsize=10)
        shown = panels[1, column].imshow(bits[column], cmap="inferno", vmin=0, vmax=bits.max())
        panels[1, column].set_title(f"{total:.0f} bits = {total / 8:.1f} bytes", fontsize=10)
    for panel in panels.flat:
        panel.set_axis_off()
    figure.colorbar(shown, ax=panels[1, :], label="bits of a pixel")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels: NDArray[np.uint8] = np.asarray(canvas.buffer_rgba())
    return Image.fromarray(pixels).convert("RGB").quantize(256)


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw where the bits of digits go.")
    parser.add_argument("--quick", action="store_true", help="one digit")
    parser.add_argument("--out", type=Path, default=Path("runs/surprise"), help="folder")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    model = npx.load(MODEL)
    images = npx.load_data("mnist", levels=model.levels).test
    levels = images.levels[: 1 if asked.quick else 5].long()
    picture = draw(model, levels)
    keep(picture, asked.out / "surprise.png", f"bits of each pixel of test digits, by {MODEL}")
    whole = compress(model, levels)
    ideal = float(surprises(model, levels).sum()) / 8
    print(f"{len(levels)} digits: {ideal:.1f} bytes by the model, an archive of {len(whole)}")


if __name__ == "__main__":
    main()
