r"""A collection of one's own: a net trained on 200 tiles of one kind compresses the others.

    python benchmarks/own_collection.py textures DIR [--packages FOLDER]
    nextpixel train photo --data.name DIR/train --data.validation 2 --train.steps 6000 \
        --train.threads 1 --out runs/mine
    python benchmarks/own_collection.py textures DIR --table photo runs/mine

Kinds of tiles, from Debian packages:

- textures: the surface of Mars from colobot-common-textures, 40x40 parts of eight pictures;
- emoji: glyphs of fonts-noto-color-emoji, 136x128, drawn on white.

DIR/train gets 200 of them, drawn at random, and DIR/test as many others as there are, at most 300.
The table gives the bytes of all of DIR/test: a file each and one sheet of all by JPEG XL, all in
one stream by xz, one archive by each model.
"""

import argparse
import io
import lzma
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from fontTools.ttLib import TTFont
from photograph_table import Pixels, jpeg_xl
from photographs import unpack
from PIL import Image, ImageDraw, ImageFont

import nextpixel as npx
from nextpixel.codec import archive
from nextpixel.codec.files import PictureSource

TRAINED, TESTED = 200, 300
TILE = 40
GLYPH = (136, 128)
SKIN_TONES, FLAGS = range(0x1F3FB, 0x1F400), range(0x1F1E6, 0x1F200)


def textures(packages: Path, where: Path) -> Iterator[Image.Image]:
    """Tiles of pictures of one surface."""
    folder = unpack("colobot-common-textures", packages, where)
    for file in sorted(folder.glob("usr/share/games/colobot/textures/mars00*.png")):
        with Image.open(file) as picture:
            whole = picture.convert("RGB")
        for top in range(0, whole.height - TILE + 1, TILE):
            for left in range(0, whole.width - TILE + 1, TILE):
                yield whole.crop((left, top, left + TILE, top + TILE))


def emoji(packages: Path, where: Path) -> Iterator[Image.Image]:
    """Glyphs of one character each, on white."""
    folder = unpack("fonts-noto-color-emoji", packages, where)
    file = next(folder.glob("usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"))
    font = ImageFont.truetype(file, 109)  # the only size that its pictures have
    for code in sorted(TTFont(file).getBestCmap()):
        if not 0x2190 <= code < 0xE0000 or code in SKIN_TONES or code in FLAGS:
            continue
        tile = Image.new("RGB", GLYPH, "white")
        ImageDraw.Draw(tile).text((0, 0), chr(code), font=font, embedded_color=True)
        if tile.getcolors(1) is None:  # not white all over
            yield tile


KINDS: dict[str, Callable[[Path, Path], Iterator[Image.Image]]] = {
    "textures": textures,
    "emoji": emoji,
}


def make(kind: str, folder: Path, packages: Path) -> None:
    """Write tiles to train on, and others to compress."""
    tiles = list(KINDS[kind](packages, folder / "packages"))
    random.Random(0).shuffle(tiles)
    for part, chosen in (
        ("train", tiles[:TRAINED]),
        ("test", tiles[TRAINED : TRAINED + TESTED]),
    ):
        (folder / part).mkdir(parents=True, exist_ok=True)
        for number, tile in enumerate(chosen):
            tile.save(folder / part / f"{number:03}.png")
        print(f"{len(chosen)} tiles in {folder / part}")


def sheet(tiles: Sequence[Pixels]) -> Pixels:
    """All tiles in one picture, in rows of about as many as there are rows."""
    across = next(n for n in range(int(len(tiles) ** 0.5), 0, -1) if len(tiles) % n == 0)
    rows = [np.concatenate(tiles[at : at + across], 1) for at in range(0, len(tiles), across)]
    return np.concatenate(rows)


def archived(name: str, folder: Path, *, adapt: bool) -> int:
    """Bytes of one archive of all tiles."""
    model, made = npx.load(name), io.BytesIO()
    archive.write(made, model, PictureSource(folder, model), adapt=adapt)
    return len(made.getvalue())


def table(folder: Path, names: Sequence[str]) -> None:
    """Print what all tiles of a folder take."""
    files = sorted(folder.glob("*.png"))
    tiles = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    raw = np.stack(tiles).tobytes()
    found = {
        "PNG": sum(file.stat().st_size for file in files),
        "xz, one stream": len(lzma.compress(raw, preset=9 | lzma.PRESET_EXTREME)),
        "JPEG XL e9, a file each": sum(jpeg_xl(tile, 9) or 0 for tile in tiles),
        "JPEG XL e9, one sheet": jpeg_xl(sheet(tiles), 9) or 0,
    }
    for name in names:
        for adapt in (False, True):
            found[name + " --adapt" * adapt] = archived(name, folder, adapt=adapt)
    best = min(found["JPEG XL e9, a file each"], found["JPEG XL e9, one sheet"])
    print(f"{len(tiles)} tiles, {len(raw):,} bytes\n| by | bytes | bits a sub-pixel | of JPEG XL |")
    print("| --- | --- | --- | --- |")
    for name, size in found.items():
        if size:
            share = f"{size / best:.3f}" if best else ""
            print(f"| {name} | {size:,} | {8 * size / len(raw):.3f} | {share} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Tiles of one kind, for a net of their own.")
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--packages", type=Path, help="a folder of .deb files; else DIR/debs")
    parser.add_argument("--table", nargs="+", metavar="MODEL", help="measure the tiles in DIR/test")
    asked = parser.parse_args()
    if asked.table:
        torch.set_num_threads(1)
        table(asked.folder / "test", asked.table)
    else:
        make(asked.kind, asked.folder, asked.packages or asked.folder / "debs")


if __name__ == "__main__":
    main()
