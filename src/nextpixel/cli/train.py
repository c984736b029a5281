"""`nextpixel train`: a recipe, settings laid over it, and a folder with all that came of it."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from nextpixel.cli.options import Device, OptionFile, chosen, words_of
from nextpixel.config import dotted
from nextpixel.data.config import DataConfig
from nextpixel.errors import NextPixelError
from nextpixel.recipes import SUFFIXES, Layer, Recipe, check_model, names, read, settings_of
from nextpixel.training.config import TrainConfig

if TYPE_CHECKING:
    DataWords = object
    TrainWords = object
else:
    DataWords, TrainWords = words_of(DataConfig, {"folder": "path"}), words_of(TrainConfig)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Job:
    """Where and how to run.

    Attributes:
        out: Folder of the run; by default runs/RECIPE.
        resume: Go on with the run in that folder, to the same result as if it had not stopped. The
            folder may stand in place of the recipe: it knows how it was trained.
        allow_resize: Let the resumed run have another number of processes or passes (accumulate)
            than before. Its result is then the same but for rounding.
        warm_restart: Let a resumed run that is given more steps or minutes raise its learning rate
            again, to what its schedule has there.
        device: Where to compute: cuda, cpu, or auto, which takes CUDA where there is any.
    """

    out: Path | None = None
    resume: Annotated[bool, Parameter(negative="")] = False
    allow_resize: Annotated[bool, Parameter(negative="")] = False
    warm_restart: Annotated[bool, Parameter(negative="")] = False
    device: Device = "auto"


_JOB = Job()


def train(
    recipe: str | None = None,
    /,
    *,
    job: Job = _JOB,
    data: DataWords | None = None,
    model: dict[str, str] | None = None,
    train: TrainWords | None = None,
    file: Annotated[OptionFile, Parameter(parse=False)],
) -> None:
    """Train the model of a recipe, or go on with a run that was stopped.

    Started by torchrun, its processes share each batch: see docs/training.md.

    Args:
        recipe: Name of a recipe (see `nextpixel recipes`), or a YAML or TOML file; with --resume
            also the folder of a run.
        job: Where and how.
        data: Settings of the data set; --data NAME is short for --data.name NAME.
        model: Options of the model, such as --model.features 32; `nextpixel models NAME` lists
            them.
        train: Settings of the training.
        file: Options from --config.
    """
    words = {"data": chosen(data), "model": dotted(model or {}), "train": chosen(train)}
    layers = Layer(file.where, file.sections), Layer("command line", words)
    folder = _folder_to_resume(recipe, job)
    if folder is not None:
        found = _recipe_of(folder, layers, allow_resize=job.allow_resize)
    elif recipe is None:
        raise ValueError(
            "recipe must be given, such as demo (`nextpixel recipes` lists them); to go on with a "
            "run: nextpixel train --resume FOLDER"
        )
    else:
        found = read(recipe, *layers)
    check_model(found)
    if found.left_out:
        warnings.warn(
            f"{found.model.name} in place of the recipe's model: left out of the recipe are "
            f"{', '.join(found.left_out)}; a condition is kept",
            stacklevel=2,
        )
    from nextpixel.cli.job import run_recipe

    run_recipe(
        found,
        folder or job.out or Path("runs") / found.name,
        resume=job.resume,
        allow_resize=job.allow_resize,
        warm_restart=job.warm_restart,
        device=job.device,
        classes_stated=any(map(_states_condition, layers)),
    )


def _states_condition(layer: Layer) -> bool:
    model = layer.sections.get("model")
    return isinstance(model, dict) and "condition" in model


def _folder_to_resume(recipe: str | None, job: Job) -> Path | None:
    """The folder of the run that is to go on by what it knows of itself; None: by a recipe."""
    if recipe is None:
        return job.out if job.resume else None
    path = Path(recipe)
    if recipe in names() or recipe.lower().endswith(SUFFIXES):
        return None
    if not path.is_dir() and not (job.resume and len(path.parts) > 1):
        return None
    if not job.resume:
        raise ValueError(
            f"recipe must be a name or a file, got the folder {recipe}; --resume goes on with a run"
        )
    if job.out is not None and job.out != path:
        raise ValueError(f"out must be left out to resume {recipe}, got {str(job.out)!r}")
    return path


def _recipe_of(folder: Path, layers: Sequence[Layer], *, allow_resize: bool) -> Recipe:
    """The recipe that a run was trained by, with settings that a resumed run may change.

    Raises:
        ValueError: If another setting differs, or there is no such folder.
        NextPixelError: If the folder holds no run, or none that knows its recipe.
    """
    from nextpixel.training.folder import RECIPE
    from nextpixel.training.resume import FREE_TO_CHANGE, SIZES, check_state

    if not folder.is_dir():
        raise ValueError(f"out must be the folder of a run to resume, got {str(folder)!r}")
    check_state(folder)
    path = folder / RECIPE
    if not path.is_file():
        raise NextPixelError(
            f"{folder} does not know its recipe: it has no {RECIPE}, as runs of earlier versions; "
            f"name it, with all settings: nextpixel train RECIPE --out {folder} --resume"
        )
    old, new = (replace(read(path, *more), name=folder.name) for more in ((), layers))
    before, after = settings_of(old), settings_of(new)
    free = {f"train.{name}" for name in FREE_TO_CHANGE} | set(SIZES if allow_resize else ())
    for name in sorted(before.keys() | after.keys()):
        if name not in free and before.get(name) != after.get(name):
            raise ValueError(
                f"{name} must stay {before.get(name)!r} in a run that is resumed, got "
                f"{after.get(name)!r}; leave it out, or begin another run"
            )
    return new
