"""Models on disk: a folder with `model.safetensors` and `config.json`, both strict.

`config.json` holds all that is needed to build the model again, and what is known of it: its data,
its training, its figures. Nothing is guessed on loading: a missing or unknown key, a missing,
unknown or misshapen tensor, or a newer format is an error. What `load` could not build again,
`save` refuses. Files are replaced whole, so a full disk or a crash leaves the previous ones.
A mixture of shipped models may be kept as their names and fingerprints, without weights of its own.
"""

import hashlib
import json
import os
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as tensors_from
from safetensors.torch import save as tensors_to
from torch import Tensor

from nextpixel.config import check_keys
from nextpixel.errors import NextPixelError, check_kind, nearest
from nextpixel.models import PixelModel
from nextpixel.models.base import check_model
from nextpixel.models.registry import build_from, check_registered, names

FORMAT = 1
PACKAGE = __name__.partition(".")[0]
WEIGHTS, CONFIG = "model.safetensors", "config.json"
SECTIONS: dict[str, tuple[str, ...]] = {
    "model": ("name", "shape", "levels", "options"),
    "data": (),
    "training": (),
    "evaluation": (),
}
"""Of `config.json`, and the keys that they must have; () means any."""
MODULE = "module"
"""Key of `model` that names the module of a class from outside the package; only errors read it."""
PARTS_OF = "shipped"
"""Key of `model`: the shipped models that a mixture takes its weights from, in place of a file."""
SHIPPED = Path(__file__).parent / "shipped"

STORED_NAMES = {
    r"\binject_last\.(before|after)\b": r"last_\1",
    r"\binject_gate_([vh])\b": r"hears_\1.gate",
    r"\binject_(v|h|link|out|skip|squash)\b": r"hears_\1",
    r"\binject\.": "",
    r"\bafter\.layers\b": "behind.layers",
}
"""What parts of a parameter's name are called on disk, where that is another word."""


def stored_name(name: str) -> str:
    """What a parameter is called on disk and in fingerprints: names there never change.

    Example:
        >>> stored_name("layers.0.inject_gate_h.layers.0.weight")
        'layers.0.hears_h.gate.layers.0.weight'
    """
    for pattern, stored in STORED_NAMES.items():
        name = re.sub(pattern, stored, name)
    return name


def stored_state(model: PixelModel) -> dict[str, Tensor]:
    """The parameters and buffers of a model by the names that they have on disk."""
    state = model.state_dict()
    stored = {stored_name(name): tensor for name, tensor in state.items()}
    assert len(stored) == len(state), "two names are one on disk"
    return stored


def shipped_names() -> list[str]:
    """Names of the models that come with the package, sorted."""
    return sorted(path.parent.name for path in SHIPPED.glob(f"*/{CONFIG}"))


def save(
    model: PixelModel,
    folder: str | Path,
    *,
    data: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    evaluation: Mapping[str, Any] | None = None,
    shipped: Sequence[str] = (),
) -> None:
    """Write a model to a folder, which is made if need be.

    Args:
        model: The model.
        folder: Where to.
        data: What it was trained on (name, protocol, ...), kept for `nextpixel evaluate`.
        training: How it was trained.
        evaluation: Its measured figures.
        shipped: Names of the shipped models that a mixture is made of, in order, where these are to
            be written and no weights. Empty: the folder is complete in itself.

    Raises:
        ValueError: If `load` could not build the model again (see `check_savable`), or it is not
            made of these shipped models.
        NextPixelError: If the folder cannot be written. What it held before stays as it was.
    """
    check_model(model)
    check_kind("folder", folder, str | os.PathLike, "a path")
    check_savable(model)
    folder = Path(folder)
    config = {
        "format": FORMAT,
        "model": _describe(model) | _references(model, shipped),
        "data": dict(data or {}),
        "training": dict(training or {}),
        "evaluation": dict(evaluation or {}),
    }
    files = {} if shipped else {folder / WEIGHTS: _packed(model)}
    replace_files(files | {folder / CONFIG: (json.dumps(config, indent=2) + "\n").encode()})


def _packed(model: PixelModel) -> bytes:
    return tensors_to({name: t.detach().contiguous() for name, t in stored_state(model).items()})


def _references(model: PixelModel, shipped: Sequence[str]) -> dict[str, Any]:
    """What names shipped models in place of weights: name and SHA-256 of the weights of each."""
    if not shipped:
        return {}
    found = [{"name": name, "sha256": _digest(name)} for name in shipped]
    tensors, own = _tensors_of_shipped(found), stored_state(model)
    if tensors.keys() != own.keys() or not all(t.equal(own[name]) for name, t in tensors.items()):
        raise ValueError(f"model must be a mixture of {', '.join(shipped)}, got other weights")
    return {PARTS_OF: found}


def _digest(name: str) -> str:
    """SHA-256 of the weights of a shipped model."""
    if name not in shipped_names():
        raise ValueError(f"there is no shipped model {name!r}; {nearest(name, shipped_names())}")
    try:
        return hashlib.sha256((SHIPPED / name / WEIGHTS).read_bytes()).hexdigest()
    except OSError as error:
        raise ValueError(f"{name} has no weights of its own to refer to") from error


def _tensors_of_shipped(parts: Sequence[Mapping[str, str]]) -> dict[str, Tensor]:
    """Weights of a mixture of shipped models by their names on disk."""
    tensors: dict[str, Tensor] = {}
    for number, part in enumerate(parts):
        if _digest(part["name"]) != part["sha256"]:
            raise ValueError(
                f"the shipped model {part['name']} has other weights than the one that this is a "
                "mixture of"
            )
        own = read_tensors(SHIPPED / part["name"] / WEIGHTS)
        tensors |= {f"parts.{number}.{name}": tensor for name, tensor in own.items()}
    return tensors


def check_savable(model: PixelModel) -> None:
    """Refuse a model that `load` could not build again.

    Raises:
        ValueError: If its class is not registered, or another class has its name; if its options
            do not survive JSON; or if they do not build its layers.
    """
    for net in model.modules():
        if isinstance(net, PixelModel):
            check_registered(type(net))
    if type(model.config) is not model.Config:
        raise ValueError(
            f"config must be a {model.Config.__name__}, got a {type(model.config).__name__}"
        )
    _check_same(model, _build_again(model))


def _build_again(model: PixelModel) -> PixelModel:
    """A model of the same description, as JSON keeps it."""
    described = _describe(model)
    for name, value in described["options"].items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name} must survive JSON to be saved, got {value!r}") from error
    try:
        return _build(json.loads(json.dumps(described)), "model")
    except KeyError as error:
        text = f"one annotated as {error}, which no setting can be"
        raise ValueError(f"options must be settings to be saved, got {text}") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"options must build the model again to be saved, got {error}") from error


def _check_same(model: PixelModel, again: PixelModel) -> None:
    for option in (field.name for field in fields(model.config)):
        found, saved = getattr(again.config, option), getattr(model.config, option)
        if found != saved:
            raise ValueError(
                f"{option} must survive JSON to be saved, got {saved!r}, then {found!r}"
            )
    own, other = ({n: t.shape for n, t in m.state_dict().items()} for m in (model, again))
    if wrong := sorted(dict(own.items() ^ other.items())):
        found = ", ".join(wrong[:3])
        raise ValueError(f"layers must be those that the options build, got others: {found}")


def _describe(model: PixelModel) -> dict[str, Any]:
    """What builds a model again."""
    module = type(model).__module__
    outside = {} if module.partition(".")[0] == PACKAGE else {MODULE: module}
    return {
        "name": model.name,
        "shape": list(model.shape),
        "levels": model.levels,
        "options": asdict(model.config),
        **outside,
    }


def _build(described: Mapping[str, Any], where: str) -> PixelModel:
    """The model of a description, with its initial weights."""
    name = described["name"]
    if MODULE in described and name not in names():
        module = described[MODULE]
        raise ValueError(
            f"there is no model {name!r}: import {module} first, which registers it "
            f"(on the command line: --import {module})"
        )
    return build_from(
        name,
        shape=described["shape"],
        levels=described["levels"],
        seed=0,  # torch's own generator stays as it is
        options=described["options"],
        where=where,
    )


def load(folder: str | Path) -> PixelModel:
    """Read a model, in evaluation mode, on the CPU.

    Args:
        folder: A folder that `save` or `nextpixel train` wrote, or the name of a shipped model.

    Returns:
        The model.

    Raises:
        ValueError: If there is no such folder or shipped model.
        NextPixelError: If a file in it is missing, damaged, foreign or of a newer format.
    """
    folder = find(folder)
    config = read_config(folder)
    where = str(folder / CONFIG)
    try:
        _check_sections(config)
        described = config["model"]
        model = _build(described, f"{where}: model.options")
        parts = _tensors_of_shipped(described[PARTS_OF]) if PARTS_OF in described else None
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        text = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise NextPixelError(f"{where} describes no model of this version: {text}") from error
    _fill(model, read_tensors(folder / WEIGHTS) if parts is None else parts, folder / WEIGHTS)
    return model


def _check_sections(config: dict[str, Any]) -> None:
    check_keys(config, ("format", *SECTIONS))
    for name, keys in SECTIONS.items():
        content = config[name]
        if not isinstance(content, dict):
            raise ValueError(f"{name} must be a section, got {content!r:.60}")
        if keys:
            check_keys(content, (*keys, MODULE, PARTS_OF), name)


def find(folder: str | Path) -> Path:
    """The folder of a model, given that folder or the name of a shipped model.

    Raises:
        ValueError: If there is neither.
    """
    check_kind("folder", folder, str | os.PathLike, "a path or the name of a shipped model")
    if (SHIPPED / str(folder) / CONFIG).is_file() and not Path(folder).exists():
        return SHIPPED / str(folder)
    if not str(folder) or not Path(folder).exists():
        there = [str(path.parent) for path in Path(folder).parent.glob(f"*/{CONFIG}")]
        raise ValueError(
            f"there is no model {str(folder)!r}: neither a folder nor a shipped model; "
            f"{nearest(str(folder), [*shipped_names(), *there])}"
        )
    return Path(folder)


def read_config(folder: str | Path) -> dict[str, Any]:
    """What `config.json` says.

    Raises:
        NextPixelError: If it is missing, no JSON object, or of a newer format.
    """
    path = Path(folder) / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        has = "is a file; give its folder" if Path(folder).is_file() else f"has no {CONFIG}"
        raise NextPixelError(f"{folder} is no model folder: it {has}") from error
    except (OSError, ValueError) as error:
        raise NextPixelError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(config, dict) or not isinstance(config.get("format"), int):
        raise NextPixelError(f"{path} is no description of a nextpixel model")
    if config["format"] != FORMAT:
        raise NextPixelError(
            f"{path} has format {config['format']}, and this version reads format {FORMAT}; "
            "update nextpixel to read newer models"
        )
    return config


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file.

    Raises:
        NextPixelError: If it is missing or no whole safetensors file.
    """
    try:
        return tensors_from(path.read_bytes())
    except OSError as error:
        raise NextPixelError(f"{path} cannot be read: {error.strerror}") from error
    except (SafetensorError, ValueError, KeyError) as error:
        raise NextPixelError(f"{path} is no whole safetensors file: {error}") from error


def _fill(model: PixelModel, tensors: Mapping[str, Tensor], path: Path) -> None:
    expected = stored_state(model)
    faults = [f"lacks {name}" for name in expected.keys() - tensors.keys()]
    faults += [f"has an unknown {name}" for name in tensors.keys() - expected.keys()]
    faults += [
        f"{name} has shape {tuple(tensors[name].shape)}, not {tuple(expected[name].shape)}"
        for name in expected.keys() & tensors.keys()
        if tensors[name].shape != expected[name].shape
    ]
    faults += [
        f"{name} has numbers of type {tensors[name].dtype}"
        for name in expected.keys() & tensors.keys()
        if tensors[name].is_floating_point() != expected[name].is_floating_point()
    ]
    if faults:
        raise NextPixelError(f"{path} does not fit its {CONFIG}: {'; '.join(sorted(faults)[:3])}")
    dtypes = {tensor.dtype for tensor in tensors.values() if tensor.is_floating_point()}
    if len(dtypes) > 1:
        found = ", ".join(sorted(map(str, dtypes)))
        raise NextPixelError(f"{path} mixes number types ({found}), and a model has one")
    for dtype in dtypes:
        if torch.finfo(dtype).bits < 32:
            warnings.warn(f"{path} holds {dtype}; loaded as float32, exactly", stacklevel=3)
        model.to(torch.promote_types(dtype, torch.float32))
    model.load_state_dict({name: tensors[stored_name(name)] for name in model.state_dict()})


def replace_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; errors as in `replace_files`."""
    replace_files({path: content})


def replace_files(contents: Mapping[Path, bytes]) -> None:
    """Write files that belong together: all are whole on the disk before the first is replaced.

    Raises:
        NextPixelError: If one cannot be written; what was there before stays, of all of them.
    """
    try:
        for path, content in contents.items():
            _write(_partial(path), content)
        for path in contents:
            _partial(path).replace(path)
    except OSError as error:
        for written in contents:
            _remove(_partial(written))
        raise NextPixelError(f"cannot write {path}: {error.strerror or error}") from error


def _partial(path: Path) -> Path:
    return path.with_name(path.name + ".partial")


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # the folder itself is gone or closed: there is nothing of ours left to remove
