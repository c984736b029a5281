"""`nextpixel compress`, `decompress` and `info`: images to archives of exact bits, and back."""

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import chain
from json import dumps
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from cyclopts import Parameter

import nextpixel as npx
from nextpixel.cli.images import offset_of
from nextpixel.cli.inputs import check_count, check_out
from nextpixel.cli.progress import counting
from nextpixel.codec import archive as archives
from nextpixel.codec import files, write_back
from nextpixel.codec.chunks import label_classes
from nextpixel.codec.container import Archive, open_archive, replacing
from nextpixel.codec.header import fingerprint
from nextpixel.codec.reader import Reader, tiles_of, values_in
from nextpixel.errors import NextPixelError
from nextpixel.likelihood import log_probs
from nextpixel.models import PixelModel
from nextpixel.order import several

Source = files.ArraySource | files.PictureSource


@Parameter(name="*")
@dataclass(frozen=True)
class Coding:
    """How images are coded.

    Args:
        chunk: Images that are coded together, by default 256: fewer make single images quicker to
            get at, and the file larger.
        orders: best codes each image in the best of the scan orders of a model that has several,
            which takes 2 or 3 bits and as many times as long.
        adapt: Let the net go on learning in each picture, which makes large ones smaller and takes
            several times as long, to read them too. For nets of one window, such as photo.
        verify: Decode what was written, and compare, before the file appears.
    """

    chunk: int | None = None
    orders: Literal["own", "best"] = "own"
    adapt: Annotated[bool, Parameter(negative="")] = False
    verify: Annotated[bool, Parameter(negative="")] = False


PLAIN = Coding()


def compress(
    model: str,
    source: Path,
    out: Path,
    /,
    *,
    coding: Coding = PLAIN,
    verbose: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Compress images without loss.

    Args:
        model: Folder of a model, or the name of a shipped one. The archive can be read with this
            very model only.
        source: A .npy (levels or pixels), a .png or a .tif, or a folder of pictures, with train and
            test in it or not; a .npz or an IDX file comes back as a .npy. A model conditioned on
            labels takes those of NAME-labels.npy next to NAME.npy, or the folders' names.
        out: File to write, which ends in .npx.
        coding: How images are coded.
        verbose: Also show what the model says.
    """
    check_out(out, (".npx",))
    check_count("chunk", coding.chunk)
    if verbose and coding.orders == "best":
        raise ValueError("verbose must be left out with --orders best: it compares one order")
    if coding.adapt and coding.orders == "best":
        raise ValueError("adapt must be left out with --orders best: it takes one order")
    loaded = npx.load(model)
    images = files.open_source(source, loaded, offset_of(model))
    check_condition(loaded, images, source)
    report = _write(out, loaded, images, coding)
    png = png_bytes(loaded, images)
    print(
        f"{several(report.images, 'image')} in {out}: {report.bytes:,} bytes, "
        f"{report.bits_per_dim:.4f} bits/dim; as PNG {png:,} bytes"
    )
    if report.bytes > png:
        warn_of_png(model, report.bytes / png)
    if verbose:
        print(*explain(report, loaded, images, png), sep="\n")


def _write(out: Path, model: PixelModel, images: Source, coding: Coding) -> archives.Report:
    total = math.ceil(images.count / (coding.chunk or archives.PER_CHUNK))
    with counting(total, "chunk") as tick, replacing(out) as stream:
        report = archives.write(
            stream,
            model,
            images,
            per_chunk=coding.chunk,
            orders=coding.orders == "best",
            adapt=coding.adapt,
            on_chunk=tick,
        )
        if coding.verify:
            stream.seek(0)
            archives.verify(stream, model, images)
    return report


def check_condition(model: PixelModel, images: Source, source: Path) -> None:
    """Refuse a model whose condition the files do not hold.

    Raises:
        ValueError: If labels are missing or too many, or the condition is another.
    """
    classes = label_classes(model)
    if model.conditioner.conditions and not classes:
        raise ValueError(
            f"model is conditioned on {model.conditioner.describe()}, which files do not hold; "
            "use npx.compress"
        )
    if classes and images.condition is None:
        raise ValueError(
            f"model is conditioned on labels 0..{classes - 1}: put them into "
            f"{source.stem}-labels.npy next to the array, or the pictures into a folder for each "
            "class"
        )
    if images.condition is not None and not 0 <= int(images.condition.max()) < classes:
        raise ValueError(
            f"labels must be 0..{classes - 1} for this model, got {int(images.condition.max())}"
        )


def warn_of_png(model: str, times: float) -> None:
    """Say that PNG does better, and what helps."""
    warnings.warn(
        f"{model} takes {times:.2f} times the bytes of PNG: it has learned too little of images "
        "like these; `nextpixel train RECIPE --data FOLDER` makes a model of a folder's own",
        stacklevel=2,
    )


def explain(report: archives.Report, model: PixelModel, images: Source, png: int) -> list[str]:
    """Where the bytes go: the model's bits twice computed, the coder's, the header, and PNG's."""
    lines = [
        f"model's bits along the scan   {report.ideal_bits:z,.1f} "
        f"({report.ideal_bits / 8:z,.1f} bytes)",
        f"coded                         {8 * report.payload_bytes:,} "
        f"({report.payload_bytes:,} bytes)",
        f"header and index              {report.header_bytes:,} bytes",
    ]
    if images.sizes == [model.shape[1:]]:
        lines.insert(1, f"model's bits in one pass      {_in_one_pass(model, images):z,.1f}")
    return [
        *lines,
        f"PNG, each image by itself     {png:,} bytes, {8 * png / report.values:.4f} bits/dim",
    ]


def _in_one_pass(model: PixelModel, images: Source) -> float:
    bits = 0.0
    for first in range(0, images.count, 100):
        numbers = range(first, min(first + 100, images.count))
        levels = torch.from_numpy(np.stack([images.image(number) for number in numbers]))
        labels = None if images.condition is None else images.condition[first : first + 100]
        bits -= float(log_probs(model, levels, labels).sum()) / math.log(2)
    classes = label_classes(model)
    return bits + (images.count * math.log2(classes) if classes else 0.0)


def png_bytes(model: PixelModel, images: Source) -> int:
    """What PNG takes, each image by itself, as Pillow writes it by default."""
    total = 0
    for number in range(images.count):
        for page in write_back.pages(images.image(number), model.levels):
            made = BytesIO()
            (page.convert("1") if model.levels == 2 else page).save(made, "png")
            total += made.tell()
    return total


def decompress(
    model: str,
    archive: Path,
    out: Path,
    /,
    *,
    range_: Annotated[str | None, Parameter(name="--range")] = None,
    salvage: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Write back what was compressed.

    Args:
        model: The model that it was compressed with.
        archive: The .npx file.
        out: What to write, of the kind that was compressed: a .npy (with its labels next to it), a
            .png, or a folder, which is made.
        range_: Only images A:B, counted from 0, without B; no other chunk is read.
        salvage: Write what is whole of a damaged archive, and say what is lost.
    """
    loaded = npx.load(model)
    with _opened(archive, fingerprint(loaded), salvage=salvage) as opened:
        reader = Reader(opened, loaded)
        write_back.check_target(out, opened.header.metadata, reader.tiles.images)
        first, last = _parse(range_, reader.tiles.images)
        runs = _within(reader.intact(), first, last) if salvage else [range(first, last)]
        count = sum(map(len, runs))
        if not count:
            raise NextPixelError(f"{archive}: there is no image to write")
        with counting(count, "image") as tick:
            found = chain.from_iterable(reader.images(run.start, run.stop) for run in runs)
            images = _counted(_named(found, archive), tick)
            write_back.write_back(out, opened.header.metadata, loaded.levels, images, runs, count)
    print(f"{several(count, 'image')} in {out}" + _lost(runs, first, last))


def info(archive: Path, /, *, json: Annotated[bool, Parameter(negative="")] = False) -> None:
    """Say what an archive holds; reads its header only.

    Args:
        archive: The .npx file.
        json: Print one JSON object.
    """
    with _opened(archive) as opened:
        found = describe(opened)
    if json:
        print(dumps(found))
    else:
        width = max(map(len, found))
        print(*[f"{name:{width}}  {value}" for name, value in found.items()], sep="\n")


def describe(opened: Archive) -> dict[str, Any]:
    """What `info` shows."""
    header = opened.header
    tiles = tiles_of(header)
    values = values_in(header, tiles)
    sizes = header.metadata.get("sizes")
    total = opened.header_bytes + opened.payload_bytes
    return {
        "images": tiles.images,
        "shape": list(header.shape),
        **({"tiles": header.images} if sizes else {}),
        "levels": header.levels,
        "model": header.fingerprint.hex(),
        "source": header.metadata.get("kind", "levels"),
        "chunks": header.chunks,
        "images per chunk": header.per_chunk,
        "header bytes": opened.header_bytes,
        "bytes": total,
        "bits/dim": round(8 * total / values, 4) if values else None,
    }


@contextmanager
def _opened(path: Path, model: bytes | None = None, *, salvage: bool = False) -> Iterator[Archive]:
    """An archive that is open for a while; what is wrong with its header names the file."""
    if not path.is_file():
        what = "is a folder, and must be an archive" if path.is_dir() else "there is no such file"
        raise NextPixelError(f"{path}: {what}")
    with path.open("rb") as stream:
        try:
            opened = open_archive(stream, salvage=salvage, model=model)
        except NextPixelError as error:
            raise NextPixelError(f"{path}: {error}") from error
        yield opened


def _parse(text: str | None, images: int) -> tuple[int, int]:
    if text is None:
        return 0, images
    first, colon, last = text.partition(":")
    try:
        found = int(first or 0), int(last) if last else images
    except ValueError:
        found = (-1, -1)
    if not colon or not 0 <= found[0] < found[1] <= images:
        raise ValueError(
            f"range must be A:B with A below B, within 0:{images}, the images there are, "
            f"got {text!r}"
        )
    return found


def _within(runs: list[range], first: int, last: int) -> list[range]:
    cut = [range(max(run.start, first), min(run.stop, last)) for run in runs]
    return [run for run in cut if run]


def _named(images: Iterator[Any], path: Path) -> Iterator[Any]:
    """Images of an archive; an error in one names the file, and what saves the others."""
    try:
        yield from images
    except NextPixelError as error:
        raise NextPixelError(f"{path}: {error}; --salvage writes what is whole") from error


def _counted(images: Iterator[Any], tick: Callable[[int], None]) -> Iterator[Any]:
    for number, image in enumerate(images, 1):
        yield image
        tick(number)


def _lost(runs: list[range], first: int, last: int) -> str:
    kept = sum(map(len, runs))
    if kept == last - first:
        return ""
    edges = [first, *chain.from_iterable((run.start, run.stop) for run in runs), last]
    gaps = [f"{a}:{b}" for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]
    return f"; lost: images {', '.join(gaps)}"
