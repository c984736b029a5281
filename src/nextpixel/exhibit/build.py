"""Writes an exhibit: a folder of plain files that a browser opens from the disk.

The page asks for nothing: scripts are classic ones, the worker is made of its text, and the model
is a script too. Modules, style and icon that the playground has are taken from there.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import Tensor

import nextpixel
from nextpixel import checkpoint
from nextpixel.errors import NextPixelError
from nextpixel.exhibit.linking import linked
from nextpixel.exhibit.tables import packed, tables_of
from nextpixel.models import PixelModel

HERE = Path(__file__).parent / "static"
PLAYGROUND = Path(nextpixel.__file__).parent / "playground" / "static"
FILES = ("index.html", "exhibit.css", "exhibit.js", "model.js", "icon.svg")
"""What an exhibit consists of."""
MARK = '<meta name="generator" content="nextpixel exhibit" />'
"""By this the page of an exhibit is known."""
STYLES = ("style.css", "inputs.css", "pictures.css", "cells.css", "ideas.css", "exhibit.css")
IDEAS = "ideas.js"
"""The playground's view of ideas, which is computed in the page."""
OWN = "own-"
"""Before the names of the exhibit's modules, once they are next to those of the playground."""
FROM = r'from "\./([\w.-]+)"'
MOST_BYTES = 5_000_000
"""Of all files together."""


class Shown(NamedTuple):
    """What a page says of its model, and the images that it begins with.

    Attributes:
        name: Of the model.
        title: What it is, in a line.
        images: Levels, (N, 1, H, W), to complete and to look into.
        labels: Their classes, (N,), or None.
    """

    name: str
    title: str
    images: Tensor
    labels: Tensor | None


def build(folder: Path, model: PixelModel, shown: Shown) -> int:
    """Write the exhibit of a model, in place of one that is there; the bytes written.

    Args:
        folder: Where.
        model: Any that the page's engine can carry out; see `tables.check`.
        shown: What the page says of it.

    Raises:
        NextPixelError: If the model cannot be exhibited, or the folder cannot be written or holds
            other files.
    """
    check_place(folder)
    contents = {**files_of_page(), "model.js": script_of(model, shown)}
    written = {folder / path: text.encode() for path, text in contents.items()}
    size = sum(map(len, written.values()))
    if size > MOST_BYTES:
        raise NextPixelError(
            f"{shown.name} cannot be exhibited: its page would take {size / 1e6:.1f} MB, "
            f"of {MOST_BYTES / 1e6:.0f} at most"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NextPixelError(f"cannot write {folder}: {error.strerror}") from error
    checkpoint.replace_files(written)
    return size


def check_place(folder: Path) -> None:
    """Refuse a folder that holds other things than an exhibit.

    Raises:
        NextPixelError: Naming it.
    """
    if folder.exists() and not folder.is_dir():
        raise NextPixelError(f"out must be a folder, and {folder} is a file")
    if folder.exists() and any(folder.iterdir()) and not is_exhibit(folder):
        raise NextPixelError(
            f"out must be empty or hold an exhibit, and {folder} holds other files"
        )


def is_exhibit(folder: Path) -> bool:
    """Whether a folder holds the files of an exhibit and no others."""
    page = folder / "index.html"
    inside = {path.name for path in folder.iterdir()}
    return inside <= {*FILES} and page.is_file() and MARK in page.read_text("utf-8", "replace")


def script_of(model: PixelModel, shown: Shown) -> str:
    """A script that sets the model: its tables, its name and images."""
    labels = None if shown.labels is None else shown.labels.tolist()
    images = shown.images.numpy().astype(np.uint8)
    own = {"name": shown.name, "title": shown.title, "images": images, "labels": labels}
    plain = {
        key: packed(value) if isinstance(value, np.ndarray) else value
        for key, value in {**own, **tables_of(model)}.items()
    }
    return f"globalThis.nextpixelModel = {json.dumps(plain, separators=(',', ':'))};\n"


def files_of_page() -> dict[str, str]:
    """The files that are the same for all models."""
    styles = [path for name in STYLES for path in _found(name)]
    return {
        "index.html": (HERE / "index.html").read_text("utf-8"),
        "exhibit.css": "\n".join(path.read_text("utf-8") for path in styles),
        "exhibit.js": script_of_page(sources_of(PLAYGROUND)),
        "icon.svg": (PLAYGROUND / "icon.svg").read_text("utf-8"),
    }


def script_of_page(playground: Mapping[str, str]) -> str:
    """The page's script, which carries that of its worker as a text.

    Args:
        playground: Modules of the playground by their names.
    """
    stations = "export const Stations = null;\n"
    if IDEAS in playground:
        stations = f'import {{ IdeasView }} from "./{IDEAS}";\nexport const Stations = IdeasView;\n'
    own = sources_of(HERE) | {"stations.js": stations}
    worker = linked(f"{OWN}worker.js", named_apart(own))
    source = f"export const WORKER = {json.dumps(worker)};\n"
    modules = {**playground, **named_apart(own | {"worker-source.js": source})}
    return linked(f"{OWN}exhibit.js", modules)


def named_apart(own: Mapping[str, str]) -> dict[str, str]:
    """Modules of the exhibit under names that the playground's do not have."""

    def read(found: re.Match[str]) -> str:
        return f'from "./{OWN}{found[1]}"' if found[1] in own else found[0]

    return {f"{OWN}{name}": re.sub(FROM, read, text) for name, text in own.items()}


def sources_of(folder: Path) -> dict[str, str]:
    """Modules of a folder by their names."""
    return {path.name: path.read_text("utf-8") for path in sorted(folder.glob("*.js"))}


def _found(pattern: str) -> list[Path]:
    return [path for folder in (PLAYGROUND, HERE) for path in sorted(folder.glob(pattern))]
