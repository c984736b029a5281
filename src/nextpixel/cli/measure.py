"""`nextpixel evaluate` and `audit`: exact likelihoods, and the proof that they are some."""

import math
import sys
from dataclasses import asdict, dataclass
from io import BytesIO
from json import dumps
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from cyclopts import Parameter
from torch import Tensor

import nextpixel as npx
from nextpixel import gallery
from nextpixel.checkpoint import replace_file
from nextpixel.classify import classes_of
from nextpixel.cli.images import Part, note_of_name, read_part
from nextpixel.cli.inputs import (
    check_count,
    check_out,
    codes_its_images,
    read_known,
    team,
)
from nextpixel.cli.options import Device
from nextpixel.cli.progress import counting
from nextpixel.data import Split
from nextpixel.errors import NextPixelError
from nextpixel.evaluation import Evaluation, with_error, without_nan
from nextpixel.likelihood import log_probs
from nextpixel.models import PixelModel
from nextpixel.models.sizes import fitting, tied_by
from nextpixel.nn import ClassCondition
from nextpixel.order import Shape

HEALTH_IMAGES = 1000
"""Images on which it is measured whether a conditional model uses its condition."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Measured:
    """Which images to measure.

    Attributes:
        data: Name or path of a data set; by default the one the model was trained on.
        data_folder: Where a data set that is not shipped lies; by default where it lay in training.
        split: Which part of it: all, train, validation or test. By default the test images of a
            named set, of a folder that holds train and test, and of what the model was trained on;
            all images of any other file or folder.
        limit: Only the first so many images.
    """

    data: str | None = None
    data_folder: Annotated[str | None, Parameter(name=["--data.folder", "--data.path"])] = None
    split: Literal["all", "test", "validation", "train"] | None = None
    limit: int | None = None

    def read(self, folder: str, model: PixelModel) -> Part:
        """The images, of the model's shape; errors as in `read_part`."""
        return read_part(
            folder, model, self.data, self.split, files=self.data_folder, first=self.limit
        )


_IMAGES = Measured()


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Reports:
    """What else to measure, and to write.

    Attributes:
        classify: Also classify the images by Bayes: p(class | image) by p(image | class).
        region: Picture of the images' size (or top, bottom, left, right); also measure its white
            part, given its past.
        given: Likewise; also measure the region given this part alone: exactly where both begin the
            scan, else by particles, which takes seconds an image.
        per_image: File to write, .csv: nats and bits/dim of each image.
        map: File to write, .npy: bits of every sub-pixel, (N, C, H, W), float32.
        against: Another model; also measure the difference on the same images, and its error.
    """

    classify: bool = False
    region: Path | None = None
    given: Path | None = None
    per_image: Path | None = None
    map: Path | None = None
    against: str | None = None

    @property
    def of_own_order(self) -> bool:
        """Whether something is asked that is measured in the model's own order only."""
        return self.classify or any((self.given, self.per_image, self.map, self.against))

    def fitting(self, model: PixelModel, images: Split) -> PixelModel:
        """The model at the size of images, if they have one; what has no meaning is refused.

        Raises:
            ValueError: If a report of one size is asked for of images of several, or in tiles.
        """
        made = fitting(model, images.shape) if len(images.shapes) == 1 else model
        of_one_size = self.classify or any((self.region, self.given, self.map))
        if of_one_size and (len(images.shapes) > 1 or images.shape != made.shape):
            why = tied_by(model)
            raise ValueError(
                "classify, region, given and map must be left out for images of "
                + (f"another size by a model that {why}" if why else "several sizes")
            )
        return made

    def check(self) -> None:
        """Refuse what cannot be done or written, before anything is measured."""
        if self.given is not None and self.region is None:
            raise ValueError("region must be stated with given: what is measured given that part")
        if self.per_image is not None:
            check_out(self.per_image, (".csv",), "per-image")
        if self.map is not None:
            check_out(self.map, (".npy",), "map")

    def mask(self, model: PixelModel) -> Tensor | None:
        """The region, boolean, (H, W).

        Raises:
            ValueError: If it is no picture of the images' size, or has no white part.
        """
        if self.region is None:
            return None
        mask = read_known(str(self.region), model, "region")
        if not mask.any():
            raise ValueError(f"region must have a white part, got none in {self.region}")
        return mask

    def more(self, model: PixelModel, images: Split, batch_size: int) -> dict[str, tuple[Any, str]]:
        """Files are written; of a comparison, a JSON entry and a line for people."""
        if self.per_image is not None:
            nats = (-log_probs(model, images, batch_size=batch_size)).tolist()
            replace_file(self.per_image, _csv(nats, images.shapes).encode())
        if self.map is not None:
            made = BytesIO()
            np.save(made, npx.surprise_map(model, images, batch_size=batch_size).numpy())
            replace_file(self.map, made.getvalue())
        return self._given(model, images, batch_size) | self._against(model, images, batch_size)

    def _given(
        self, model: PixelModel, images: Split, batch_size: int
    ) -> dict[str, tuple[Any, str]]:
        """The region given another part."""
        region = self.mask(model)
        if self.given is None or region is None:
            return {}
        known, rng = read_known(str(self.given), model, "given"), torch.Generator().manual_seed(0)
        parts = []
        for first in range(0, len(images), batch_size):
            some = slice(first, first + batch_size)
            levels = images.levels[some]
            labels = None if images.labels is None else images.labels[some]
            condition = model.condition_of(levels, labels)
            found = npx.log_prob_of(
                model, levels, region, given=known, condition=condition, rng=rng
            )
            parts.append(found)
        nats = -torch.cat([part.nats for part in parts])
        errors = torch.cat([part.standard_error for part in parts])
        spread = nats.var() if len(nats) > 1 else torch.tensor(math.nan)
        error = math.sqrt(float(spread + errors.square().mean()) / len(nats))
        exact = all(part.is_exact for part in parts)
        values = {"nats": float(nats.mean()), "standard_error": error, "exact": exact}
        figure = with_error(f"{float(nats.mean()):z.2f}", error)
        how = "exact" if exact else "by particles"
        return {"given": (values, f"the region given {self.given}: {figure} nats ({how})")}

    def _against(
        self, model: PixelModel, images: Split, batch_size: int
    ) -> dict[str, tuple[Any, str]]:
        """The difference from another model."""
        if self.against is None:
            return {}
        other = fitting(npx.load(self.against), model.shape).to(next(model.parameters()).device)
        found = npx.compare(model, other, images, batch_size=batch_size)
        line = f"against {self.against}: {found}"
        return {"against": ({"model": self.against, **asdict(found)}, line)}


def _csv(nats: list[float], shapes: list[Shape]) -> str:
    """A line for each image; `shapes` has that of each, or one for all."""
    units = [1 / (math.log(2) * math.prod(shape)) for shape in shapes]
    units = units if len(units) > 1 else units * len(nats)
    each = enumerate(zip(nats, units, strict=True))
    lines = [f"{n},{value!r},{value * unit!r}" for n, (value, unit) in each]
    return "\n".join(["image,nats,bits_per_dim", *lines, ""])


_REPORTS = Reports()


def evaluate(
    model: str,
    /,
    *,
    images: Measured = _IMAGES,
    batch_size: int = 100,
    reports: Reports = _REPORTS,
    order: str | None = None,
    device: Device = "auto",
    json: bool = False,
) -> None:
    """Measure the exact likelihood of a data set, a folder or a file, of images of any sizes.

    Started by torchrun, its processes share the images: see docs/training.md.

    Args:
        model: Folder of a model, or the name of a shipped one.
        images: Which images.
        batch_size: Images a pass.
        reports: What else to measure, and to write.
        order: Scan order, of a model of several: its name, or all, for the mixture of its orders.
        device: Where to compute: cuda, cpu, or auto, which takes CUDA where there is any.
        json: Print one JSON object.
    """
    check_count("batch-size", batch_size)
    check_count("limit", images.limit)
    reports.check()
    if order is not None and reports.of_own_order:
        raise ValueError(
            "order must be left out with classify, given, per-image, map and against: these are "
            "measured in the model's own order"
        )
    with team(device) as us:
        own = us.load(model)
        part = us.each(lambda: _images(images, model, own, classify=reports.classify))
        found = part.images
        loaded = us.each(lambda: reports.fitting(own, found))
        if (note := note_of_name(model, images.data)) and images.split is None and us.is_first:
            print(f"note: {note}", file=sys.stderr)
        mask = us.each(lambda: reports.mask(loaded))
        with counting(len(found), "image", shown=us.is_first) as tick:
            figures = npx.evaluate(
                loaded, found, batch_size=batch_size, region=mask, order=order, on_progress=tick
            )
        more = _which(part) | _details(figures) | health_of(loaded, found)
        if reports.classify:
            more |= accuracy(loaded, found, batch_size, shown=us.is_first)
        more |= reports.more(loaded, found, batch_size)
    if json:
        values = {name: value for name, (value, _) in more.items() if value is not None}
        us.say(dumps(without_nan(figures.as_dict() | values)))
    else:
        lines = [str(figures), *(line for _, line in more.values())]
        us.say("\n".join(filter(None, lines)))


def _images(chosen: Measured, folder: str, model: PixelModel, *, classify: bool) -> Part:
    """The images; what cannot be classified is refused before any work is done."""
    part = chosen.read(folder, model)
    if classify:
        classes_of(model)
        _labels(part.images)
    return part


def _which(part: Part) -> dict[str, tuple[Any, str]]:
    """Of a file or folder of the user's, which part of it was measured."""
    if part.total is None:
        return {}
    values = {"split": part.split, "of": part.total}
    return {"images": (values, part.describe())}


def _details(figures: Evaluation) -> dict[str, tuple[Any, str]]:
    """Lines for people by color and by region; JSON has them in the evaluation."""
    lines: dict[str, tuple[Any, str]] = {}
    if len(figures.by_color) > 1:
        shares = ", ".join(f"{bits:z.4f}" for bits in figures.by_color)
        lines["colors"] = (None, f"by color, each given those before it: {shares} bits/dim")
    if figures.region is not None:
        lines["part"] = (None, str(figures.region))
    return lines


def health_of(model: PixelModel, images: Split) -> dict[str, tuple[Any, str]]:
    """Whether a conditional model uses its condition: a JSON entry and a line for people."""
    part = images.take(HEALTH_IMAGES)
    conditions = model.conditioner.conditions
    if len(conditions) != 1 or len(part) < 2 or images.shapes != [model.shape]:
        return {}
    if isinstance(conditions[0], ClassCondition) and len(set(_labels(part).tolist())) < 2:
        return {}
    found = npx.health(model, part)
    code = ", codes not counted" if codes_its_images(model) else ""
    return {"health": (found.as_dict(), f"health ({found.n:,} images{code}): {found}")}


def _labels(images: Split) -> Tensor:
    if images.labels is None:
        raise ValueError(f"data must have labels to classify, {images.name} has none")
    return images.labels


def accuracy(
    model: PixelModel, images: Split, batch_size: int, *, shown: bool
) -> dict[str, tuple[Any, str]]:
    """Share of images whose class Bayes finds: a JSON entry and a line for people.

    Raises:
        ValueError: If the model is not class-conditional or the images have no labels.
    """
    labels = _labels(images)
    scores = len(images) * classes_of(model)
    with counting(scores, "score", shown=shown) as tick:
        probabilities = npx.classify(model, images.levels, batch_size=batch_size, on_progress=tick)
    right = (probabilities.argmax(1) == labels).double()
    share, n = right.mean().item(), len(right)
    error = right.std().item() / math.sqrt(n) if n > 1 else math.nan
    value = {"share": share, "standard_error": error, "n": n}
    line = f"classified right: {share:.2%} +- {error:.2%} of {n:,} images"
    if n == 1:
        line = f"classified {'right' if share else 'wrong'}: 1 image"
    return {"classified_right": (value, line)}


def audit(
    model: str,
    /,
    *,
    out: Path | None = None,
    probes: int = 2,
    seed: int = 0,
    order: str | None = None,
    json: bool = False,
) -> None:
    """Prove that no pixel sees itself or a later one.

    Args:
        model: Folder of a model, or the name of a shipped one.
        out: Picture (.png) of what the step in the middle sees, with its blind spot.
        probes: Random images to try, the first with the model's own weights, the others with
            weights drawn anew.
        seed: Of the random images.
        order: Scan order, of a model of several, by name; by default its own.
        json: Print one JSON object.
    """
    if out is not None:
        check_out(out, (".png",))
    check_count("probes", probes)
    loaded = npx.load(model)
    with counting(probes * math.prod(loaded.shape), "step") as tick:
        found = npx.audit(loaded, probes=probes, seed=seed, order=order, on_progress=tick)
    if out is not None:
        step = found.centre()
        field = gallery.receptive_field(found.field(step), step, blind=found.blind(step))
        gallery.save(field, out)
    print(dumps(found.as_dict()) if json else found.summary())
    if not found.causal:
        raise NextPixelError(
            f"{model} is not causal: {len(found.leaks())} pairs of steps leak, so its likelihoods "
            "are no likelihoods"
        )
