"""`nextpixel sample`, `complete` and `reconstruct`: images drawn into a picture or an array."""

import itertools
import math
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from cyclopts import Parameter
from PIL.Image import Image
from torch import Tensor

import nextpixel as npx
from nextpixel import checkpoint, gallery
from nextpixel.cli.images import Part, read_part
from nextpixel.cli.inputs import (
    Team,
    check_count,
    check_out,
    codes_its_images,
    codes_of,
    condition_for,
    labels_for,
    own_labels,
    read_known,
    refuse_labels,
    team,
    warn_of_cost,
    write_array,
)
from nextpixel.cli.options import Device, height_and_width
from nextpixel.cli.progress import counting
from nextpixel.models import PixelModel
from nextpixel.models.sizes import fitting
from nextpixel.nn import Value
from nextpixel.order import several
from nextpixel.sampling.options import read_options
from nextpixel.training.folder import WITHOUT_IMAGES

Labels = Annotated[tuple[int, ...] | None, Parameter(consume_multiple=1, negative="")]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Drawing:
    """How images are drawn.

    Attributes:
        temperature: Above 0; below 1 prefers likely levels, 1 samples the model itself.
        top_k: Draw one of so many likeliest levels; by default any.
        top_p: Draw one of the likeliest levels that together have this probability, above 0 up
            to 1; by default any.
        seed: The same seed draws the same images.
        method: How a pixel is predicted: engine, step by step, or recompute, by a forward pass
            each (slow). Both draw the same images. To complete there is also particles: then
            pixels that are known later in the scan shape those before them, too.
        particles: With --method particles, so many completions are drawn together for each one.
        order: Scan order, of a model of several, by name. By default the model's own, and to
            complete the one in which most known pixels come before missing ones.
        device: Where to compute: cuda, cpu, or auto, which takes CUDA where there is any.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    seed: int = 0
    method: str = "engine"
    particles: int = 64
    order: str | None = None
    device: Device = "auto"

    def options(self) -> dict[str, Any]:
        """The same as the library's functions take it."""
        return {
            "rng": torch.Generator().manual_seed(self.seed),
            "temperature": self.temperature,
            "top_k": self.top_k,
            "top_p": self.top_p,
            "method": self.method,
            "particles": self.particles,
            "order": self.order,
        }

    def load(self, us: Team, model: str) -> PixelModel:
        """Read the model onto the device, with a warning if its method is slow."""
        loaded = us.load(model)
        warn_of_cost(self.method, loaded)
        return loaded


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Originals:
    """Images to draw from.

    Attributes:
        images: A file or folder that `nextpixel data` lists, whose first images are taken, or a
            picture; of a named set, and of a folder that holds train and test, the test images.
        images_count: Take only the first so many images.
    """

    images: str
    images_count: int = 10

    def read(self, us: Team, folder: str, model: PixelModel) -> tuple[Tensor, list[int] | None]:
        """Levels (N, C, H, W), and labels where there are some; it is said which part they are."""
        check_count("images-count", self.images_count)
        count = self.images_count

        def read() -> Part:
            return read_part(folder, model, self.images, measured=False, first=count)

        part = us.each(read)
        if part.split != "all" and part.total is not None and us.is_first:
            print(f"note: the images are those of {part.images.name}", file=sys.stderr)
        labels = part.images.labels
        if len(sizes := sorted({shape[1:] for shape in part.images.shapes})) > 1:
            found = " and ".join(f"{width}x{height}" for height, width in sizes[:2])
            raise ValueError(f"images must have one size to be drawn together, got {found}")
        return part.images.levels, None if labels is None else labels.tolist()


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What images to draw.

    Attributes:
        count: How many images.
        size: Their width and height in pixels, WIDTHxHEIGHT such as 64x48, of a model that takes
            any size; by default the model's own.
        batch_size: Images drawn at a time.
    """

    count: int = 16
    size: str | None = None
    batch_size: int = 100

    def model(self, loaded: PixelModel) -> PixelModel:
        """The model at that size; errors as in `npx.at_size`."""
        return loaded if self.size is None else npx.at_size(loaded, *height_and_width(self.size))


_DRAWING = Drawing()
_WANTED = Wanted()


def sample(
    model: str,
    /,
    *,
    out: Path,
    wanted: Wanted = _WANTED,
    label: Labels = None,
    drawing: Drawing = _DRAWING,
    columns: int | None = None,
) -> None:
    """Draw images from a model.

    Started by torchrun, its processes share the images: see docs/training.md.

    Args:
        model: Folder of a model, or the name of a shipped one.
        out: File to write: .png (a grid), .npy (levels, one array) or .gif (the scan, row by row).
        wanted: What images.
        label: Classes to draw, in turn, for a class-conditional model; by default all of them. An
            auto-encoder draws from the codes of test images of its own data set.
        drawing: How.
        columns: Images a row of the grid; by default about as many as rows.
    """
    count = wanted.count
    check_count("count", count)
    check_count("columns", columns)
    with team(drawing.device) as us:
        us.first(lambda: check_out(out, (".png", ".npy", ".gif")))
        own = drawing.load(us, model)
        loaded = us.each(lambda: wanted.model(own))
        condition = us.each(lambda: condition_for(model, own, count, label))
        us.first(lambda: _warn_of_unseen(model, condition))
        rows = itertools.count(1)  # of all batches of this process
        share = len(range(count)[us.processes.share(count)])
        total = loaded.shape[1] * math.ceil(share / max(1, wanted.batch_size))
        with counting(total, "row", shown=us.is_first) as tick:
            levels = npx.sample(
                loaded,
                count,
                condition=condition,
                batch_size=wanted.batch_size,
                on_row=lambda row, levels: tick(next(rows)),
                **drawing.options(),
            )
        us.first(lambda: _write(levels, loaded, out, columns))
    us.say(f"{several(count, 'image')} of {loaded.name} in {out}")


def complete(
    model: str,
    /,
    *,
    originals: Originals,
    known: str,
    out: Path,
    count: int = 3,
    label: Labels = None,
    drawing: Drawing = _DRAWING,
) -> None:
    """Draw the missing part of images.

    Started by torchrun, its processes share the completions: see docs/training.md.

    Args:
        model: Folder of a model, or the name of a shipped one.
        originals: The images, of any size if the model takes it, all of one.
        known: What is kept: top, bottom, left, right, or a mask picture that is white where known.
        out: File to write: .png (original | occluded | completions) or .npy (images, completions,
            colors, height, width).
        count: Completions of each image.
        label: Class of each image, in turn, for a class-conditional model; by default the images'
            own labels where a data set has them, else all classes in turn. An auto-encoder makes
            its codes of the known pixels, the others at level 0.
        drawing: How.
    """
    check_count("count", count)
    with team(drawing.device) as us:
        us.first(lambda: check_out(out, (".png", ".npy")))
        own = drawing.load(us, model)
        images, labels = originals.read(us, model, own)
        loaded = us.each(lambda: _at_size_of(images, own))
        mask = us.each(lambda: _read_mask(known, loaded))
        many = images.repeat_interleave(count, 0)
        condition = us.each(
            lambda: _condition_of(loaded, len(images), label or own_labels(loaded, labels), count)
        )
        if drawing.method == "particles" and loaded.conditioner.order is None:
            made = _by_particles(us, loaded, (many, mask), condition, drawing)
        else:
            with counting(loaded.shape[1], "row", shown=us.is_first) as tick:
                made = npx.complete(
                    loaded,
                    many,
                    mask,
                    condition=condition,
                    batch_size=len(many),
                    on_row=lambda row, _: tick(row),
                    **drawing.options(),
                )
        made = made.view(len(images), count, *loaded.shape)
        us.first(
            lambda: _write_made(made, out, lambda: gallery.sheet(images, mask, made, loaded.levels))
        )
    us.say(f"{_of_each(count, 'completion', len(images))} in {out}")


def _of_each(count: int, what: str, images: int) -> str:
    """How many of something were made of how many images, in words."""
    return f"{several(count, what)} of {'the image' if images == 1 else f'each of {images} images'}"


def _warn_of_unseen(folder: str, condition: Value | None) -> None:
    """Say which of the labels to draw no training image had."""
    data = checkpoint.read_config(checkpoint.find(folder))["data"]
    labels = condition.tolist() if isinstance(condition, Tensor) and condition.ndim == 1 else []
    unseen = sorted(set(data.get(WITHOUT_IMAGES, ())) & set(labels))
    if unseen:
        words = ", ".join(map(str, unseen))
        warnings.warn(f"no training image had label {words}: it was not learned", stacklevel=2)


def _at_size_of(images: Tensor, model: PixelModel) -> PixelModel:
    """The model at the size of images; what it does not take is refused."""
    made = fitting(model, images.shape[1:])
    made.check(images)
    return made


def _read_mask(known: str, model: PixelModel) -> Tensor:
    """What is known, which must not be all."""
    mask = read_known(known, model)
    if mask.all():
        raise ValueError(f"known must have a black part, which is drawn, got none in {known}")
    return mask


def _by_particles(
    us: Team,
    model: PixelModel,
    known: tuple[Tensor, Tensor],
    condition: Value | None,
    drawing: Drawing,
) -> Tensor:
    """Completions by particles, and how far their number fell, said on stderr."""
    options = drawing.options()
    rng, count = options.pop("rng"), drawing.particles
    read_options(**options)  # refuses what particles cannot do
    found = us.each(
        lambda: npx.complete_by_particles(model, *known, count=count, rng=rng, condition=condition)
    )
    least = float(found.effective.min())
    us.say(f"effective particles: at least {least:.1f} of {count} at every step")
    return found.draw(rng)


def _condition_of(
    model: PixelModel, images: int, labels: Sequence[int] | None, count: int
) -> Value | None:
    """The condition of each completion, `count` for each image; None where the model makes it."""
    if codes_its_images(model):
        refuse_labels(labels)
        return None
    each = labels_for(model, images, labels)
    return each.repeat_interleave(count, 0) if isinstance(each, Tensor) else None


def reconstruct(
    model: str,
    /,
    *,
    originals: Originals,
    out: Path,
    count: int = 4,
    drawing: Drawing = _DRAWING,
) -> None:
    """Draw images again from the codes that an auto-encoder gives them.

    Started by torchrun, its processes share the images: see docs/training.md.

    Args:
        model: Folder of an auto-encoder, or the name of a shipped one.
        originals: The images.
        out: File to write: .png (input | decodings) or .npy (images, decodings, colors, height,
            width).
        count: Decodings of each code; they vary.
        drawing: How.
    """
    check_count("count", count)
    with team(drawing.device) as us:
        us.first(lambda: check_out(out, (".png", ".npy")))
        loaded = drawing.load(us, model)
        if not codes_its_images(loaded):
            raise ValueError(f"model must be an auto-encoder, got {loaded.name}")
        images, _ = originals.read(us, model, loaded)
        many = images.repeat_interleave(count, 0)
        with counting(loaded.shape[1], "row", shown=us.is_first) as tick:
            made = npx.sample(
                loaded,
                len(many),
                condition=codes_of(loaded, many, len(many)),
                batch_size=len(many),
                on_row=lambda row, _: tick(row),
                **drawing.options(),
            ).view(len(images), count, *loaded.shape)
        us.first(
            lambda: _write_made(
                made, out, lambda: gallery.reconstructions(images, made, loaded.levels)
            )
        )
    us.say(f"{_of_each(count, 'decoding', len(images))} in {out}")


def _write_made(made: Tensor, out: Path, sheet: Callable[[], Image]) -> None:
    if out.suffix.lower() == ".npy":
        write_array(made, out)
    else:
        picture = sheet()
        gallery.save(picture, out)
        if note := gallery.note_of(picture):
            print(f"{out}: {note}", file=sys.stderr)


def _write(levels: Tensor, model: PixelModel, out: Path, columns: int | None) -> None:
    if out.suffix.lower() == ".gif":
        _write_scan(levels, model, out, columns)
    else:
        _write_made(levels, out, lambda: gallery.grid(levels, model.levels, columns=columns))


def _write_scan(levels: Tensor, model: PixelModel, out: Path, columns: int | None) -> None:
    rows = torch.arange(model.shape[1]).unsqueeze(1)
    pictures = [
        gallery.grid(levels, model.levels, columns=columns, known=rows <= row)
        for row in range(len(rows))
    ]
    captions = [f"row {row + 1}" for row in range(len(rows))]
    gallery.animation(pictures, out, captions=captions, milliseconds=120)
