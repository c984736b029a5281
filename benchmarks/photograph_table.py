"""Bytes of photographs by our codec and by others, for `photographs.py --table`.

JPEG XL is that of `imagecodecs`; without that package its columns are empty. Speeds are those of
decoding, in one thread, of the levels' bytes (a byte a sub-pixel), each picture an archive.
"""

import io
import lzma
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from compression_others import saved, webp
from numpy.typing import NDArray
from PIL import Image

import nextpixel as npx
from nextpixel.codec import archive
from nextpixel.codec.container import read_archive
from nextpixel.codec.files import PictureSource
from nextpixel.codec.reader import Reader
from nextpixel.models import PixelModel
from nextpixel.nn import NO_EMBEDDING

Pixels = NDArray[np.uint8]
ADAPT = " --adapt"


def others(pixels: Pixels) -> dict[str, int | None]:
    """Bytes by the name of the format; None for one that is not there."""
    return {
        "PNG": saved(Image.fromarray(pixels), "png", optimize=True),
        "WebP": webp(pixels),
        "JPEG XL e7": jpeg_xl(pixels, 7),
        "JPEG XL e9": jpeg_xl(pixels, 9),
        "xz": len(lzma.compress(pixels.tobytes(), preset=9)),
    }


def jpeg_xl(pixels: Pixels, effort: int) -> int | None:
    """Bytes at an effort of 1 to 9, read again and compared."""
    try:
        import imagecodecs
    except ImportError:
        return None
    made = imagecodecs.jpegxl_encode(pixels, lossless=True, effort=effort, numthreads=1)
    if not np.array_equal(imagecodecs.jpegxl_decode(made), pixels):
        raise SystemExit("JPEG XL did not give back the picture it was made from")
    return len(made)


def ours(model: PixelModel, file: Path, *, adapt: bool = False) -> tuple[int, float, float]:
    """Bytes of an archive of a picture, and the seconds of encoding and decoding it."""
    made, source = io.BytesIO(), PictureSource(file, model)
    start = time.perf_counter()
    archive.write(made, model, source, adapt=adapt)
    written = time.perf_counter()
    ((image, _),) = Reader(read_archive(made.getvalue()), model).images()
    read = time.perf_counter()
    if not np.array_equal(image, source.image(0)):
        raise SystemExit(f"{file} did not come back")
    return len(made.getvalue()), written - start, read - written


def rows(files: Sequence[Path], models: dict[str, PixelModel]) -> Iterator[dict[str, Any]]:
    """What each picture takes; models by their names, with --adapt after those that learn."""
    for file in files:
        with Image.open(file) as picture:
            pixels = np.asarray(picture, np.uint8)
        found: dict[str, Any] = {"picture": file.stem, "raw": pixels.size, **others(pixels)}
        for name, model in models.items():
            adapt = name.endswith(ADAPT)
            found[name], found[f"{name} s"], found[f"{name} back s"] = ours(
                model, file, adapt=adapt
            )
        yield found


def gray_copies(folder: Path, target: Path) -> Path:
    """The pictures of a folder in gray (Rec. 601 luma, as Pillow computes it)."""
    for file in folder.glob("*.png"):
        with Image.open(file) as picture:
            picture.convert("L").save(target / file.name)
    return target


def borders(folder: Path, names: Sequence[str]) -> None:
    """Print what bands cost: all pictures cut into bands, against each as a whole."""
    rows, files = archive.BAND_ROWS, sorted(folder.glob("*.png"))
    for name in names:
        model, sizes = npx.load(name), []
        for archive.BAND_ROWS in (rows, 1 << 20):
            sizes.append(sum(ours(model, file)[0] for file in files))
        loss = sizes[0] / sizes[1] - 1
        print(f"{folder.name}, {name}: bands of {rows} rows take {loss:.3%} more bytes than none")
    archive.BAND_ROWS = rows


def table(folder: Path, names: Sequence[str], *, adapt: bool = False) -> None:
    """Print the table of all pictures of a folder, and of their sum."""
    models = {name: npx.load(name) for name in names}
    if adapt:
        models |= {name + ADAPT: model for name, model in models.items()}
    names = list(models)
    for name, model in models.items():  # compiles what the first picture would wait for
        ours(model, sorted(folder.glob("*.png"))[0], adapt=name.endswith(ADAPT))
    listed, total = ["PNG", "WebP", "JPEG XL e7", "JPEG XL e9", "xz", *names], {}
    print(f"{folder.name}: bits a sub-pixel (and bytes against JPEG XL e9)")
    print("| picture | " + " | ".join(listed) + " |\n" + "| --- " * (len(listed) + 1) + "|")
    for found in rows(sorted(folder.glob("*.png")), models):
        print(line(found, listed), flush=True)
        for key, value in found.items():
            total[key] = value if key == "picture" else total.get(key, 0) + (value or 0)
    print(line(total | {"picture": "all"}, listed))
    for name in names:
        speeds = [total["raw"] / 1000 / total[f"{name} {what}"] for what in ("s", "back s")]
        print(f"{name}: {speeds[0]:.0f} KB/s encoded, {speeds[1]:.0f} decoded, one thread")


@torch.inference_mode()
def bits_map(model: PixelModel, pixels: Pixels, rows: int = 64) -> NDArray[np.float64]:
    """Bits of each pixel given those before it, (H, W), of pixels (H, W, C)."""
    levels = torch.from_numpy(pixels.copy()).movedim(2, 0)[None].long()
    parts = []
    for top in range(0, levels.shape[2], rows):
        above = max(0, top - model.reach)
        window = levels[:, :, above : top + rows]
        outputs = model.network(model.encode(window), NO_EMBEDDING)
        log_p = model.read_head(outputs, window).log_prob(window)[0, :, top - above :]
        parts.append(-log_p.double().sum(0) / math.log(2))
    return torch.cat(parts).numpy()


def draw_map(model: PixelModel, file: Path, side: int = 480) -> Image.Image:
    """A picture and below it the bits of its pixels, from none (black) to 24 (white)."""
    with Image.open(file) as picture:
        pixels = np.asarray(picture, np.uint8)
    bits = bits_map(model, pixels)
    grey = Image.fromarray((255 * np.clip(bits / 24, 0, 1)).astype(np.uint8)).convert("RGB")
    both = Image.new("RGB", (picture.width, 2 * picture.height))
    both.paste(Image.fromarray(pixels))
    both.paste(grey, (0, picture.height))
    both.thumbnail((side, 2 * side))
    return both


def line(found: dict[str, Any], listed: Sequence[str]) -> str:
    """A row of the table."""
    cells = [found["picture"]]
    for name in listed:
        if not found[name]:
            cells.append("-")
            continue
        ratio = f" ({found[name] / found['JPEG XL e9']:.3f})" if found["JPEG XL e9"] else ""
        cells.append(f"{8 * found[name] / found['raw']:.3f}{ratio}")
    return "| " + " | ".join(cells) + " |"
