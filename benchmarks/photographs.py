"""Photographs to train and test a lossless codec on, from Debian packages, by name.

    python benchmarks/photographs.py DIR [--packages FOLDER]
    python benchmarks/photographs.py DIR --table [--models photo ...] [--adapt] [--gray]
    python benchmarks/photographs.py DIR --borders [--models photo ...]
    python benchmarks/photographs.py DIR --map PICTURE.png --out MAP.png

- DIR/train and DIR/test: photographs of the packages in `PACKAGES`, drawings skipped by a
  written list, averaged down by a whole number so that the traces of JPEG go; 8-bit RGB as PNG.
- DIR/second: pictures that scikit-image and scikit-learn carry, where they are installed, as they
  are.
- DIR/ATTRIBUTION.md: of each picture its package, author and licence, as the package states them.

With --table, the bytes of the test and the second set by models and by other formats; with --adapt
also by models that learn on the way, with --gray of the pictures turned gray. With --borders, what
the bands of a picture cost.

Packages are fetched by `apt-get download`, or taken from --packages, a folder of .deb files. The
pictures themselves are not part of this project.
"""

import argparse
import importlib.util
import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from photograph_table import borders, draw_map, gray_copies, table
from PIL import Image

import nextpixel as npx

PACKAGES = {
    "lomiri-wallpapers-16.04": "usr/share/backgrounds/*.jpg",
    "lomiri-wallpapers-20.04": "usr/share/backgrounds/*.jpg",
    "mate-backgrounds": "usr/share/backgrounds/mate/nature/*.jpg",
    "plasma-workspace-wallpapers": "usr/share/wallpapers/*/contents/images/2560x1600.jpg",
}
"""Where the pictures of each lie. All of ukui-wallpapers are drawings."""

DRAWINGS = {
    "analogpattern_by_Peter_Nerlich",
    "umang_by_Abhishek_Mudgal",
    "Fossa_by_Jasper_Roks",
    "Infinite-Sea_by_Aury88",
    "Painting-Colors_by__herobrine7gamer",
    "Autumn",
}

HELD_OUT = {
    "Bridge_by_Sander_Klootwijk",
    "picosdeeuropa_by_Aitzol_Berasategi",
    "LadyBird",
    "EveningGlow",
    "OneStandsOut",
    "Picture_1A_by_freespace",
    "Kleiber_by_Lukas_Baubkus",
}

SECOND = {
    "skimage": ("astronaut.png", "coffee.png", "chelsea.png", "cat.png", "rocket.jpg"),
    "sklearn": ("china.jpg", "flower.jpg"),
}
FOLDERS = {"skimage": "data", "sklearn": "datasets/images"}

WIDEST = 1100
"""Pixels of the longer side, about, to which pictures are averaged down."""


@dataclass(frozen=True)
class Picture:
    """A photograph in an unpacked package."""

    package: str
    file: Path

    @property
    def name(self) -> str:
        """The file's name, or where all are called alike that of the folder of the wallpaper."""
        kept = self.file.parts
        return kept[kept.index("wallpapers") + 1] if "wallpapers" in kept else self.file.stem


def unpack(package: str, packages: Path, where: Path) -> Path:
    """The folder of a package's files; it is fetched if it is not in `packages`."""
    found = sorted(packages.glob(f"{package}_*.deb"))
    if not found:
        packages.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", package], cwd=packages, check=True)
        found = sorted(packages.glob(f"{package}_*.deb"))
    target = where / package
    target.mkdir(parents=True, exist_ok=True)
    subprocess.run(["dpkg", "-x", str(found[-1].resolve()), str(target)], check=True)
    return target


def photographs(packages: Path, where: Path) -> Iterator[Picture]:
    """All photographs of all packages."""
    for package, pattern in PACKAGES.items():
        for file in sorted(unpack(package, packages, where).glob(pattern)):
            picture = Picture(package, file)
            if picture.name not in DRAWINGS:
                yield picture


def reduced(file: Path) -> Image.Image:
    """A picture averaged down by 2 to 4, so that its longer side has about `WIDEST` pixels."""
    with Image.open(file) as image:
        factor = min(4, max(2, round(max(image.size) / WIDEST)))
        return image.convert("RGB").reduce(factor)


def stated(picture: Picture, folder: Path) -> str:
    """Author and licence as the package states them for the file, else for all of its files."""
    text = (folder / "usr/share/doc" / picture.package / "copyright").read_text(errors="replace")
    blocks = [block for block in text.split("\n\n") if block.strip().startswith("Files:")]
    own = [block for block in blocks if picture.file.name in block] or blocks[:1]
    author = re.search(r"Copyright:\s*(.+(?:\n\s+.+)*)", own[0])
    licence = re.search(r"License:\s*(\S+)", own[0])
    metadata = picture.file.parents[2] / "metadata.json"
    if metadata.exists():  # Plasma names the author of each wallpaper
        people = json.loads(metadata.read_text(encoding="utf-8"))["KPlugin"]["Authors"]
        names = ", ".join(person["Name"] for person in people)
    else:
        found = author.group(1) if author else "?"
        names = re.sub(r"\s*<[^>]*>|\u00b4|\s*\n\s+", " ", found).strip()
    return f"{names}; {licence.group(1) if licence else '?'}"


def second(folder: Path) -> list[str]:
    """Copy the pictures of installed packages, in 8-bit RGB; their names."""
    made = []
    for package, names in SECOND.items():
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            print(f"{package} is not installed: its pictures are left out")
            continue
        for name in names:
            file = Path(spec.origin).parent / FOLDERS[package] / name
            if file.exists():
                with Image.open(file) as image:
                    image.convert("RGB").save(folder / f"{file.stem}.png")
                made.append(f"{file.stem} ({package})")
    return made


def make(folder: Path, packages: Path) -> None:
    """Write all pictures and where they come from."""
    lines = ["| picture | set | package | author; licence |", "| --- | --- | --- | --- |"]
    for part in ("train", "test", "second"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for picture in photographs(packages, folder / "packages"):
        part = "test" if picture.name in HELD_OUT else "train"
        reduced(picture.file).save(folder / part / f"{picture.name}.png")
        words = stated(picture, folder / "packages" / picture.package)
        lines.append(f"| {picture.name} | {part} | {picture.package} | {words} |")
    lines += [f"| {name} | second | as named | |" for name in second(folder / "second")]
    (folder / "ATTRIBUTION.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(lines) - 2} pictures in {folder}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the sets of photographs.")
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--packages", type=Path, help="a folder of .deb files; else DIR/debs")
    parser.add_argument("--table", action="store_true", help="measure the sets that are there")
    parser.add_argument("--map", type=Path, metavar="PICTURE", help="draw where its bits go")
    parser.add_argument("--out", type=Path, default=Path("map.png"))
    parser.add_argument("--borders", action="store_true", help="measure what bands cost")
    parser.add_argument("--models", nargs="+", default=["photo"])
    parser.add_argument("--adapt", action="store_true", help="of --table: also with --adapt")
    parser.add_argument("--gray", action="store_true", help="of --table: pictures turned gray")
    asked = parser.parse_args()
    if asked.map:
        draw_map(npx.load(asked.models[0]), asked.map).save(asked.out)
        return
    if asked.table:
        torch.set_num_threads(1)
        for part in ("test", "second"):
            with tempfile.TemporaryDirectory() as made:
                folder = asked.folder / part
                folder = gray_copies(folder, Path(made)) if asked.gray else folder
                table(folder, asked.models, adapt=asked.adapt)
        return
    if asked.borders:
        torch.set_num_threads(1)
        for part in ("test", "second"):
            borders(asked.folder / part, asked.models)
        return
    make(asked.folder, asked.packages or asked.folder / "debs")


if __name__ == "__main__":
    main()
