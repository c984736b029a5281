"""`nextpixel train`: a recipe, settings laid over it, and a folder with all that came of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from nextpixel.cli.options import Device, OptionFile, given, words_of
from nextpixel.config import dotted
from nextpixel.data.config import DataConfig
from nextpixel.recipes import Layer, check_model, read
from nextpixel.training.config import TrainConfig

if TYPE_CHECKING:
    DataWords = object
    TrainWords = object
else:
    DataWords, TrainWords = words_of(DataConfig, {"folder": "path"}), words_of(TrainConfig)


def train(
    recipe: str,
    /,
    *,
    out: Path | None = None,
    resume: Annotated[bool, Parameter(negative="")] = False,
    allow_resize: Annotated[bool, Parameter(negative="")] = False,
    device: Device = "auto",
    data: DataWords | None = None,
    model: dict[str, str] | None = None,
    train: TrainWords | None = None,
    file: Annotated[OptionFile, Parameter(parse=False)],
) -> None:
    """Train the model of a recipe, or go on with a run that was stopped.

    Started by torchrun, its processes share each batch: see docs/training.md.

    Args:
        recipe: Name of a recipe (see `nextpixel recipes`), or a YAML or TOML file.
        out: Folder of the run; by default runs/RECIPE.
        resume: Go on with the run in that folder, to the same result as if it had not stopped.
        allow_resize: Let the resumed run have another number of processes or passes (accumulate)
            than before. Its result is then the same but for rounding.
        device: Where to compute: cuda, cpu, or auto, which takes CUDA where there is any.
        data: Settings of the data set; --data NAME is short for --data.name NAME.
        model: Options of the model, such as --model.features 32 (see `nextpixel models`).
        train: Settings of the training.
        file: Options from --config.
    """
    words = {"data": given(data), "model": dotted(model or {}), "train": given(train)}
    chosen = read(recipe, Layer(file.where, file.sections), Layer("command line", words))
    check_model(chosen)
    from nextpixel.cli.job import run_recipe

    folder = out or Path("runs") / chosen.name
    run_recipe(chosen, folder, resume=resume, allow_resize=allow_resize, device=device)
