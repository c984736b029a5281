"""`nextpixel decompress` and `nextpixel info`: archives back to files, and what is in them."""

from collections.abc import Iterator
from itertools import chain
from json import dumps
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

import nextpixel as npx
from nextpixel.cli.progress import counting
from nextpixel.codec import files
from nextpixel.codec.archive import Reader, tiles_of
from nextpixel.codec.container import Archive, open_archive
from nextpixel.errors import NextPixelError


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
        out: What to write, of the kind that was compressed: a .npy (with its labels beside it), a
            .png, or a folder, which is made.
        range_: Only images A:B, counted from 0, without B; no other chunk is read.
        salvage: Write what is whole of a damaged archive, and say what is lost.
    """
    loaded = npx.load(model)
    with _opened(archive, salvage=salvage) as opened:
        reader = Reader(opened, loaded)
        files.check_target(out, opened.header.metadata, reader.tiles.images)
        first, last = _parse(range_, reader.tiles.images)
        runs = _within(reader.intact(), first, last) if salvage else [range(first, last)]
        count = sum(map(len, runs))
        if not count:
            raise NextPixelError(f"{archive}: there is no image to write")
        with counting(count, "image") as tell:
            images = _counted(chain.from_iterable(reader.images(r.start, r.stop) for r in runs),
                              tell)  # fmt: skip
            files.write_back(out, opened.header.metadata, loaded.levels, images, runs, count)
    print(f"{count:,} images in {out}" + _lost(runs, first, last))


def info(archive: Path, /, *, json: Annotated[bool, Parameter(negative="")] = False) -> None:
    """Say what an archive holds; reads its header only.

    Args:
        archive: The .npx file.
        json: Print one JSON object.
    """
    with _opened(archive) as opened:
        told = describe(opened)
    if json:
        print(dumps(told))
    else:
        width = max(map(len, told))
        print(*[f"{name:{width}}  {value}" for name, value in told.items()], sep="\n")


def describe(opened: Archive) -> dict[str, Any]:
    """What `info` shows."""
    header = opened.header
    tiles = tiles_of(header)
    values = header.shape[0] * tiles.pixels
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


class _opened:
    """An archive that is open for a while; errors name its file."""

    def __init__(self, path: Path, *, salvage: bool = False) -> None:
        self.path, self.salvage = path, salvage

    def __enter__(self) -> Archive:
        self.stream = self.path.open("rb")
        try:
            return open_archive(self.stream, salvage=self.salvage)
        except NextPixelError as error:
            self.stream.close()
            raise NextPixelError(f"{self.path}: {error}") from error

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self.stream.close()


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


def _counted(images: Iterator[Any], tell: Any) -> Iterator[Any]:  # noqa: ANN401
    for number, image in enumerate(images, 1):
        yield image
        tell(number)


def _lost(runs: list[range], first: int, last: int) -> str:
    kept = sum(map(len, runs))
    if kept == last - first:
        return ""
    edges = [first, *chain.from_iterable((run.start, run.stop) for run in runs), last]
    gaps = [f"{a}:{b}" for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]
    return f"; lost: images {', '.join(gaps)}"
