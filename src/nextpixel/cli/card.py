"""The card of a model in a folder, as `nextpixel models FOLDER` shows it; costs no torch."""

from collections.abc import Mapping
from dataclasses import asdict
from json import dumps
from pathlib import Path
from typing import Any

from nextpixel.errors import NextPixelError
from nextpixel.recipes.shipped import condition_of
from nextpixel.training.config import TrainConfig
from nextpixel.training.runs import CONFIG, WEIGHTS, count_parameters, read_config


def show(folder: Path, *, json: bool) -> None:
    """Print the card of the model in a folder, or one JSON object of the same.

    Raises:
        NextPixelError: If there is none.
    """
    found = describe(folder)
    if json:
        print(dumps(found))
        return
    rows = _rows(found)
    width = max(map(len, rows))
    print(f"# {folder}\n")
    for name, text in rows.items():
        print(f"{name:{width}}  {text}")


def describe(folder: Path) -> dict[str, Any]:
    """What is known of the model in a folder, as plain values.

    Raises:
        NextPixelError: If there is none, or a file is damaged.
    """
    config = read_config(folder / CONFIG)
    last = folder / "last"
    if config is None and (last / CONFIG).is_file():
        raise NextPixelError(
            f"{folder} has no best weights yet; those so far: nextpixel models {last}"
        )
    if config is None:
        raise NextPixelError(f"{folder} is no model folder: it has no {CONFIG}")
    model = config["model"]
    missing = [key for key in ("name", "shape", "levels", "options") if key not in model]
    if missing:
        raise NextPixelError(f"{folder / CONFIG} describes no model: it lacks {missing[0]}")
    return {
        "name": str(folder),
        "architecture": model["name"],
        "shape": model["shape"],
        "levels": model["levels"],
        "condition": condition_of(model["options"]),
        "parameters": count_parameters(folder / WEIGHTS),
        "bytes": sum(
            (folder / n).stat().st_size for n in (CONFIG, WEIGHTS) if (folder / n).exists()
        ),
        "options": model["options"],
        "data": config["data"],
        "training": config["training"],
        "evaluation": config["evaluation"],
    }


def _rows(found: Mapping[str, Any]) -> dict[str, str]:
    """A line each."""
    count, data = found["parameters"], found["data"]
    rest = {k: v for k, v in data.items() if k not in ("name", "levels", "protocol") and v}
    return {
        "model": f"{found['architecture']}, condition: {found['condition']}",
        "parameters": "-" if count is None else f"{count:,}",
        "images": f"{'x'.join(map(str, found['shape']))}, {found['levels']} levels",
        "options": _settings(found["options"]),
        "data": f"{data.get('name', 'not known')} {_settings(rest)}".strip(),
        "protocol": str(data.get("protocol", "not known")),
        "training": _training(found["training"]),
        "test set": _figures(found["evaluation"], found["name"]),
    }


def _training(training: Mapping[str, Any]) -> str:
    """The step that was kept, and the settings that are not the defaults."""
    if not training:
        return "not known"
    results = ("step", "validation_nats")
    usual = asdict(TrainConfig())
    settings = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in training.items()
        if key not in results
    }
    unusual = {key: value for key, value in settings.items() if usual.get(key) != value}
    words = [f"the weights of step {training['step']:,}"] if "step" in training else []
    if "validation_nats" in training:
        words.append(f"{training['validation_nats']:z.2f} nats per validation image")
    return "; ".join([*words, _settings({"steps": training.get("steps"), **unusual})])


def _figures(evaluation: Mapping[str, Any], folder: str) -> str:
    if "nats" not in evaluation:
        return f"not measured; nextpixel evaluate {folder} measures it"
    condition = evaluation.get("given", "nothing")
    return (
        f"{evaluation['nats']:z.2f} ± {evaluation['standard_error']:.2f} nats per image, "
        f"{evaluation['bits_per_dim']:z.4f} bits/dim; {evaluation['n']:,} images of "
        f"{evaluation['data']}, protocol {evaluation['protocol']}"
        + ("" if condition == "nothing" else f", given {condition}")
    )


def _settings(settings: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={_word(value)}" for key, value in settings.items())


def _word(value: object) -> str:
    return dumps(value).replace('"', "").replace(", ", ",")
