"""`nextpixel train`: a recipe, settings laid over it, and a folder with all that came of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from nextpixel.cli.options import Device, OptionFile, chosen, words_of
from nextpixel.config import dotted
from nextpixel.data.config import DataConfig
from nextpixel.recipes import Layer, check_model, read
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
        resume: Go on with the run in that folder, to the same result as if it had not stopped.
        allow_resize: Let the resumed run have another number of processes or passes (accumulate)
            than before. Its result is then the same but for rounding.
        device: Where to compute: cuda, cpu, or auto, which takes CUDA where there is any.
    """

    out: Path | None = None
    resume: Annotated[bool, Parameter(negative="")] = False
    allow_resize: Annotated[bool, Parameter(negative="")] = False
    device: Device = "auto"


_JOB = Job()


def train(
    recipe: str,
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
        recipe: Name of a recipe (see `nextpixel recipes`), or a YAML or TOML file.
        job: Where and how.
        data: Settings of the data set; --data NAME is short for --data.name NAME.
        model: Options of the model, such as --model.features 32; `nextpixel models NAME` lists
            them.
        train: Settings of the training.
        file: Options from --config.
    """
    words = {"data": chosen(data), "model": dotted(model or {}), "train": chosen(train)}
    found = read(recipe, Layer(file.where, file.sections), Layer("command line", words))
    check_model(found)
    from nextpixel.cli.job import run_recipe

    run_recipe(
        found,
        job.out or Path("runs") / found.name,
        resume=job.resume,
        allow_resize=job.allow_resize,
        device=job.device,
    )
