"""What a recipe says, read strictly from a file and from settings laid over it; and its model.

torch is imported when a model is built, not before: listing recipes must be instant.
"""

import functools
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from nextpixel.config import build as build_config
from nextpixel.config import check as check_config
from nextpixel.config import check_keys, read_file
from nextpixel.config import merge as merge_sections
from nextpixel.config import section as read_section
from nextpixel.data.config import DataConfig
from nextpixel.errors import check_kind, nearest
from nextpixel.training.config import TrainConfig

if TYPE_CHECKING:
    from nextpixel.models import PixelModel
    from nextpixel.order import Shape

_FOLDER = Path(__file__).parent
SUFFIXES = (".yaml", ".yml", ".toml")
_NOTES = ("title", "seed", "paper", "changes")
_SECTIONS = ("data", "model", "train")
_OF_ONE_SET = ("validation", "limit", "folder", "streaming", "buffer")


class Layer(NamedTuple):
    """Settings to lay over a recipe.

    Attributes:
        where: How an error names their source, such as a file.
        sections: Settings of `data`, `model` and `train`.
    """

    where: str
    sections: Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """A model by name, and the options that differ from its defaults.

    Attributes:
        name: Of the model.
        options: Of the model.
        stated: Names of the options that a user asked for, and not the package's recipe: these are
            taken as they are, or refused. None: all.
    """

    name: str
    options: Mapping[str, object] = field(default_factory=dict)
    stated: frozenset[str] | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One way to train one model on one data set.

    Attributes:
        name: What it is asked for by: the file's name without its suffix.
        title: What it trains, in one line.
        seed: Number of the document in which the system was found.
        paper: Where it was published.
        changes: What differs from the seed, and why.
        data: The data set.
        model: The model.
        train: How to train it.
        sizes: What holds in its place where there is less to train on, the smallest first.
        left_out: What the recipe says of its model that another, named over it, does not have.
    """

    name: str
    title: str = ""
    seed: str = ""
    paper: str = ""
    changes: str = ""
    data: DataConfig
    model: ModelChoice
    train: TrainConfig
    sizes: "tuple[Size, ...]" = ()
    left_out: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The recipe as a file would say it, defaults included."""
        notes: dict[str, Any] = {note: getattr(self, note) for note in _NOTES}
        model = {"name": self.model.name, **self.model.options}
        notes |= {"data": asdict(self.data), "model": model, "train": asdict(self.train)}
        sizes = [{"below": size.below, **size.settings} for size in self.sizes]
        return notes | ({"sizes": sizes} if sizes else {})

    def size(self, sub_pixels: int) -> "Size | None":
        """What it becomes for so many sub-pixels of training images; None: it stays as it is."""
        return next((size for size in self.sizes if sub_pixels < size.below), None)

    def to_yaml(self) -> str:
        """The text of a YAML file that reads as this recipe."""
        return yaml.safe_dump(self.as_dict(), sort_keys=False, allow_unicode=True, width=100)


class Size(NamedTuple):
    """What a recipe becomes where there is little to train on.

    Attributes:
        below: It holds for fewer sub-pixels of training images than this.
        settings: Of `model` and `train`, as the recipe's file lays them over its own.
        recipe: The whole, with the settings of all layers over it.
    """

    below: int
    settings: Mapping[str, Any]
    recipe: Recipe

    def __str__(self) -> str:
        """Its settings as they are, whoever had the last word."""
        found = self.recipe.as_dict()
        keys = [(part, key) for part, settings in self.settings.items() for key in settings]
        return ", ".join(f"{part}.{key} {found[part].get(key)}" for part, key in keys)


def names() -> list[str]:
    """Names of the recipes that come with the package, sorted.

    Example:
        >>> "demo" in names()
        True
    """
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def read(name: str | Path, *layers: Layer) -> Recipe:
    """Read a recipe.

    Args:
        name: One of `names()`, or the path of a YAML or TOML file.
        *layers: Settings to lay over it; later ones win.

    What a recipe says of its own data set alone (`validation`, `limit`, `folder`, `streaming`,
    `buffer`) does not hold for another that a layer names.

    Raises:
        ValueError: If there is no such recipe, or a setting is unknown, missing or of another type.

    Example:
        >>> quick = Layer("here", {"train": {"steps": "20"}})
        >>> read("mnist2-residual", quick).train.steps
        20
        >>> read("mnist2-residul")
        Traceback (most recent call last):
            ...
        ValueError: there is no recipe 'mnist2-residul'; did you mean 'mnist2-residual'?
    """
    path = _find(name)
    where = str(name)
    content = read_file(path)
    check_keys(content, (*_NOTES, *_SECTIONS, "sizes"), where)
    notes = {key: content[key] for key in _NOTES if key in content}
    notes = check_config(Recipe, notes, where)
    own = _lay({}, Layer(where, {key: content.get(key) for key in _SECTIONS}))
    own["data"] = _for_named(own["data"], layers)

    def over(*first: Layer) -> Recipe:
        sections = functools.reduce(_lay, (*first, *layers), own)
        return Recipe(
            name=path.stem,
            **notes,
            data=build_config(DataConfig, sections["data"], f"{where}: data"),
            model=_model(sections["model"], f"{where}: model", _stated(path, layers)),
            train=build_config(TrainConfig, sections["train"], f"{where}: train"),
            left_out=_left_out(own["model"], sections),
        )

    sizes = [_size(size, f"{where}: sizes") for size in content.get("sizes", ())]
    smaller = tuple(Size(below, layer.sections, over(layer)) for below, layer in sizes)
    return replace(over(), sizes=smaller)


def _size(content: Mapping[str, Any], where: str) -> tuple[int, Layer]:
    """A size of a recipe's file: below how many sub-pixels, and what holds there."""
    settings = dict(content)
    below = settings.pop("below", None)
    if not isinstance(below, int):
        raise ValueError(f"{where}: below must be a number of sub-pixels, got {below!r}")
    return below, Layer(where, settings)


def _find(name: str | Path) -> Path:
    check_kind("name", name, str | Path, "the name of a recipe or a path")
    if isinstance(name, Path) or name.lower().endswith(SUFFIXES):
        return Path(name)
    if name not in names():
        if Path(name).exists():
            raise ValueError(f"there is no recipe {name!r}; a recipe takes it by --data {name}")
        raise ValueError(f"there is no recipe {name!r}; {nearest(name, names())}")
    return _FOLDER / f"{name}.yaml"


def _lay(sections: Mapping[str, Any], layer: Layer) -> dict[str, Any]:
    check_keys(layer.sections, _SECTIONS, layer.where)
    new = {key: read_section(layer.sections, key, layer.where) for key in _SECTIONS}
    check_config(DataConfig, new["data"], f"{layer.where}: data")
    check_config(TrainConfig, new["train"], f"{layer.where}: train")
    old = dict(sections)
    if new["model"].get("name", "") not in ("", old.get("model", {}).get("name")):
        old["model"] = _for_model(old.get("model", {}))
    return merge_sections(old, new)


def _for_model(own: Mapping[str, Any]) -> dict[str, Any]:
    """What holds for another model too: its condition, but not how layers receive it."""
    return {"condition": _formless(own["condition"])} if own.get("condition") else {}


def _left_out(own: Mapping[str, Any], sections: Mapping[str, Any]) -> tuple[str, ...]:
    """What a recipe said of its model that does not hold for the one that is to take its place."""
    final = sections["model"]
    if final.get("name") == own.get("name"):
        return ()
    out = [key for key in own if key not in final]
    if own.get("condition") and final.get("condition") == _formless(own["condition"]):
        out += ["form of the condition"] if final["condition"] != own["condition"] else []
    return tuple(out)


def _formless(conditions: object) -> object:
    if isinstance(conditions, list):
        return [_formless(condition) for condition in conditions]
    if isinstance(conditions, Mapping):
        return {k: v for k, v in conditions.items() if k not in ("form", "features")}
    return conditions


def _for_named(own: Mapping[str, Any], layers: Sequence[Layer]) -> dict[str, Any]:
    """What a recipe says of data, as far as it holds for the set that the layers name."""
    over = [read_section(layer.sections, "data", layer.where) for layer in layers]
    name = [own.get("name"), *(data["name"] for data in over if data.get("name"))][-1]
    dropped = () if name == own.get("name") else _OF_ONE_SET
    return {key: value for key, value in own.items() if key not in dropped}


def _stated(path: Path, layers: Sequence[Layer]) -> frozenset[str] | None:
    """Options of the model that layers say over a recipe of the package; None: all are a user's."""
    if path.parent != _FOLDER:
        return None
    said = (read_section(layer.sections, "model", layer.where) for layer in layers)
    return frozenset(option for section in said for option in section)


def _model(mapping: Mapping[str, Any], where: str, stated: frozenset[str] | None) -> ModelChoice:
    name = mapping.get("name")
    if not isinstance(name, str):
        raise ValueError(f"{where}: name must be that of a model, got {name!r}")
    options = {key: value for key, value in mapping.items() if key != "name"}
    return ModelChoice(name=name, options=options, stated=stated)


def build_recipe(name: str | Path) -> "PixelModel":
    """Build the model of a recipe for its data set, untrained.

    Args:
        name: One of `names()`, or the path of a YAML or TOML file.

    Returns:
        The model, in evaluation mode; the same weights every time.

    Raises:
        ValueError: If there is no such recipe, or a setting of it is wrong.
        NextPixelError: If its data cannot be read.
    """
    from nextpixel.data import load_config

    recipe = read(name)
    check_model(recipe)
    data = load_config(replace(recipe.data, limit=1))
    return model_of(recipe, shape=data.shape, levels=data.level_count)


def model_of(recipe: Recipe, *, shape: "Shape", levels: int) -> "PixelModel":
    """Build the model of a recipe for images of `shape` (C, H, W) with K = `levels`.

    Where colors share the features, a recipe of the package gets as many as they can share, with a
    warning.

    Raises:
        ValueError: If there is no such model, or an option of it is wrong.
    """
    from nextpixel.models.registry import build_from

    model = build_from(
        recipe.model.name,
        shape=shape,
        levels=levels,
        seed=recipe.train.seed,
        options=recipe.model.options,
        where=f"{recipe.name}: model",
        stated=recipe.model.stated,
    )
    changed = [
        f"{name} {built} in place of {value}"
        for name, value in recipe.model.options.items()
        if isinstance(value, int) and (built := getattr(model.config, name)) != value
    ]
    if changed:
        text = f"{', '.join(changed)}, so that {shape[0]} colors share them alike"
        warnings.warn(f"{recipe.name}: {text}", stacklevel=2)
    return model


def for_classes(recipe: Recipe, classes: int, *, labelled: bool, stated: bool = False) -> Recipe:
    """A recipe with as many classes as its data has, where its model is given the class.

    Args:
        recipe: The recipe.
        classes: Of the data; 0: not known.
        labelled: Whether images have labels.
        stated: Whether the user has said how many.

    Raises:
        ValueError: If there are no labels, or the number that was stated is another.
    """
    from nextpixel.models.registry import read_conditions
    from nextpixel.nn import ClassCondition

    conditions = read_conditions(recipe.model.options.get("condition"))
    if len(conditions) != 1 or not isinstance(conditions[0], ClassCondition):
        return recipe
    own, name = conditions[0], recipe.data.name
    if not labelled:
        raise ValueError(
            f"data must have labels for {recipe.name}, whose model is given the class, got {name} "
            "without any; --model.condition none trains a model without a class"
        )
    if classes in (0, own.classes):
        return recipe
    if stated:
        raise ValueError(
            f"model.condition must have the data's number of classes, {classes} in {name}, got "
            f"{own.classes}; classes={classes} would do, or no model.condition at all"
        )
    warnings.warn(
        f"the model has {classes} classes, as {name} has, not the {own.classes} of {recipe.name}",
        stacklevel=2,
    )
    options = {**recipe.model.options, "condition": [asdict(replace(own, classes=classes))]}
    return replace(recipe, model=replace(recipe.model, options=options))


def settings_of(recipe: Recipe) -> dict[str, Any]:
    """All settings of a recipe by dotted names such as "train.steps", defaults included.

    Raises:
        ValueError: As `check_model`.
    """
    check_model(recipe)
    from nextpixel.models.registry import model_class, read_options

    where = f"{recipe.name}: model"
    config = model_class(recipe.model.name).Config
    model = build_config(config, read_options(recipe.model.options, where), where)
    sections = {
        "data": asdict(recipe.data),
        "model": {"name": recipe.model.name, **asdict(model)},
        "train": asdict(recipe.train),
    }
    return {f"{part}.{key}": v for part, content in sections.items() for key, v in content.items()}


def check_model(recipe: Recipe) -> None:
    """Refuse a model or an option that there is not, before any data is read.

    Raises:
        ValueError: Naming it and the nearest.
    """
    from nextpixel.models.registry import model_class, read_options

    for one in (recipe, *(size.recipe for size in recipe.sizes)):
        config = model_class(one.model.name).Config
        where = f"{recipe.name}: model"
        check_config(config, read_options(one.model.options, where), where)
