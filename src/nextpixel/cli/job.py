"""A training run with its pictures: fit, preview, plot, measure."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path

import torch
from PIL import Image

import nextpixel as npx
from nextpixel import checkpoint, gallery
from nextpixel.cli.inputs import Team, check_folder, codes_its_images, codes_of, labels_for, team
from nextpixel.cli.progress import counting, training
from nextpixel.data import Dataset, Stream, load_config
from nextpixel.evaluation import Evaluation
from nextpixel.models import PixelModel
from nextpixel.nn import ClassCondition
from nextpixel.recipes import ModelChoice, Recipe, for_classes, model_of
from nextpixel.training import Progress, Result
from nextpixel.training.folder import RECIPE, holds_run
from nextpixel.training.resume import check_state

_PREVIEW_SEED = 0


def run_recipe(
    recipe: Recipe,
    out: Path,
    *,
    resume: bool,
    allow_resize: bool = False,
    warm_restart: bool = False,
    device: str = "auto",
    classes_stated: bool = False,
) -> None:
    """Train a recipe into a folder, with all processes of torchrun; the first prints the result.

    Args:
        recipe: The recipe.
        out: The folder.
        resume: Go on with the run in it.
        allow_resize: As of `fit`, and so is `warm_restart`.
        warm_restart: Let the learning rate rise again.
        device: "auto", "cpu" or "cuda".
        classes_stated: Whether the number of classes is the user's, who must then be right.

    Raises:
        ValueError: If the folder holds another run, or a setting is wrong.
        NextPixelError: If the job fails.
    """
    with team(device) as us:
        us.first(lambda: check_run(out, resume=resume))
        data = us.each(lambda: load_config(recipe.data))
        recipe = us.each(lambda: _for_size(recipe, data, shown=us.is_first))
        if us.first(lambda: not resume or (out / RECIPE).is_file()):  # else of an earlier version
            recipe = us.each(lambda: _with_classes(recipe, data, stated=classes_stated))
        model = model_of(recipe, shape=data.shape, levels=data.level_count).to(us.device)
        us.first(lambda: _announce(data, model))
        with _watched(out) if us.is_first else nullcontext() as show:
            result = npx.fit(
                model,
                data,
                recipe.train,
                out=out,
                resume=resume,
                allow_resize=allow_resize,
                warm_restart=warm_restart,
                description=asdict(recipe.data),
                recipe=_in_full(recipe, model),
                on_progress=show,
                on_preview=previewer(out / "samples", recipe.train.preview_count, data),
            )
        found = measure(us, model, data)
        us.first(lambda: _report(recipe, model, result, found, out))


def _for_size(recipe: Recipe, data: Dataset, *, shown: bool) -> Recipe:
    """The recipe as it is for so much data; where that makes a difference, it is said."""
    if not recipe.sizes or isinstance(data.train, Stream):
        return replace(recipe, sizes=())
    count = data.train.sub_pixels
    size = recipe.size(count)
    words = f"fewer than {size.below:,}: {size}" if size else "enough for the recipe as it is"
    if shown:
        print(f"{recipe.name}: {count:,} sub-pixels to train on, {words}", file=sys.stderr)
    return replace(size.recipe if size else recipe, sizes=())


def _with_classes(recipe: Recipe, data: Dataset, *, stated: bool) -> Recipe:
    train = data.train
    labelled = train.has_labels if isinstance(train, Stream) else train.labels is not None
    return for_classes(recipe, data.classes, labelled=labelled, stated=stated)


def _in_full(recipe: Recipe, model: PixelModel) -> str:
    """The text of a recipe with every option of its model."""
    return replace(
        recipe, model=ModelChoice(name=model.name, options=asdict(model.config))
    ).to_yaml()


def _announce(data: Dataset, model: PixelModel) -> None:
    """Say what is trained on, and what was done to it, before anything is trained."""
    conditions = model.conditioner.conditions
    uses_labels = any(isinstance(each, ClassCondition) for each in conditions)
    print(f"data: {data.describe(uses_labels=uses_labels)}", file=sys.stderr)


def _report(
    recipe: Recipe, model: PixelModel, result: Result, found: Evaluation, out: Path
) -> None:
    draw(out)
    add_figures(model, found, out)
    speed = result.images / max(result.seconds, 1e-9)
    left_out = f", {result.skipped:,} of them left out" if result.skipped else ""
    print(f"trained {recipe.name}: {result.steps:,} steps{left_out}, {speed:,.0f} images/s")
    print(f"test: {found}")
    print(f"in {out}: {', '.join(sorted(path.name for path in out.iterdir()))}")


@contextmanager
def _watched(out: Path) -> Iterator[Callable[[Progress], None]]:
    """Show how a run goes, and how to go on with one that is stopped by a signal."""
    try:
        with training() as show:
            yield show
    except (KeyboardInterrupt, SystemExit):
        print(f"stopped; nextpixel train --resume {out} goes on", file=sys.stderr)
        raise


def check_run(out: Path, *, resume: bool) -> None:
    """Refuse a folder that holds a run, unless to go on with it; before any data is read.

    Raises:
        ValueError: If it holds one, or must and does not.
        NextPixelError: If there can be no such folder.
    """
    if resume and not out.is_dir():
        raise ValueError(f"out must be the folder of a run to resume, got {str(out)!r}")
    if resume:
        check_state(out)
    if not resume and out.is_dir() and holds_run(out):
        raise ValueError(
            f"{out} already holds a run; go on with it by --resume, or choose another --out"
        )
    check_folder(out)


def previewer(folder: Path, count: int, data: Dataset) -> Callable[[PixelModel, int], None]:
    """A callback that draws images from the same noise each time, into a picture per step."""

    def preview(model: PixelModel, step: int) -> None:
        rng = torch.Generator().manual_seed(_PREVIEW_SEED)
        if codes_its_images(model):
            condition = codes_of(model, data.validation.levels[:count], count)
        else:
            condition = labels_for(model, count, None)
        levels = npx.sample(model, count, rng=rng, condition=condition)
        gallery.save(gallery.grid(levels, model.levels), folder / f"{step:08d}.png")

    return preview


def draw(out: Path) -> None:
    """Draw `curves.png`, and `training.gif` of the previews there are."""
    gallery.save(gallery.curves(out / "metrics.csv"), out / "curves.png")
    previews = sorted((out / "samples").glob("*.png"))
    if previews:
        captions = [f"step {int(path.stem):,}" for path in previews]
        frames = [_read(path) for path in previews]
        gallery.animation(frames, out / "training.gif", captions=captions)


def _read(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        return picture.convert("RGB")


def measure(us: Team, model: PixelModel, data: Dataset) -> Evaluation:
    """Evaluate on all test images, which the processes share."""
    with counting(len(data.test), "image", shown=us.is_first) as tick:
        return npx.evaluate(model, data.test, on_progress=tick)


def add_figures(model: PixelModel, found: Evaluation, out: Path) -> None:
    """Add what was measured to `config.json`."""
    known = checkpoint.read_config(out)
    npx.save(
        model,
        out,
        data=known["data"],
        training=known["training"],
        evaluation=found.as_dict(),
    )
