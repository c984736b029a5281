"""Which models there are, as their folders describe them; no torch, so that it is known at once."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nextpixel import recipes
from nextpixel.errors import NextPixelError, nearest
from nextpixel.playground.problems import Refusal

CONFIG = "config.json"
SHIPPED = Path(__file__).parents[1] / "shipped"
CODED = ("autoencoder",)
"""Kinds of models that make their condition of an image by themselves."""


@dataclass(frozen=True)
class Card:
    """What is known of a model before it is loaded.

    Attributes:
        name: What requests call it.
        title: What it is, in one line.
        shape: (C, H, W).
        levels: K.
        condition: "none", "class", or "other".
        classes: How many, of a class-conditional model.
        unknown: Whether label -1 says that the class is not known.
        usable: Whether it can be run here: it is told nothing, a class, or its image's own code.
        data: Name of the set it was trained on, without its folder.
        protocol: How levels were made of that set's pixels.
        nats: Of a test image.
        bits_per_dim: The same in bits a sub-pixel.
        standard_error: Of `nats`.
        given: What it was told of each test image.
    """

    name: str
    title: str
    shape: tuple[int, int, int]
    levels: int
    condition: str
    classes: int | None
    unknown: bool
    usable: bool
    data: str | None
    protocol: str | None
    nats: float | None
    bits_per_dim: float | None
    standard_error: float | None
    given: str | None

    def as_dict(self) -> dict[str, Any]:
        """The card as plain values, for JSON."""
        return asdict(self)


class Catalog:
    """Models by the names that requests call them by.

    Args:
        models: Names of shipped models and folders; none stands for all shipped models.

    Raises:
        ValueError: If there is no such model.
        NextPixelError: If a folder holds no description of a model.
    """

    def __init__(self, models: Sequence[str] = ()) -> None:
        self.folders: dict[str, Path] = {}
        self.cards: dict[str, Card] = {}
        for model in models or shipped_names():
            folder = find(model)
            name = self._free(folder.resolve().name)
            self.folders[name] = folder
            self.cards[name] = read_card(name, folder)

    def card(self, name: str) -> Card:
        """The card of a model.

        Raises:
            Refusal: 404, with the nearest name.
        """
        if name not in self.cards:
            text = f"there is no model {name!r:.100}; {nearest(name, self.cards)}"
            raise Refusal(text, "model", status=404)
        return self.cards[name]

    def _free(self, name: str) -> str:
        """A name that is not taken, since folders in different places may have the same."""
        names = [name, *(f"{name}-{number}" for number in range(2, 100))]
        return next(free for free in names if free not in self.folders)


def shipped_names() -> list[str]:
    """Names of the models that come with the package, sorted."""
    return sorted(path.parent.name for path in SHIPPED.glob(f"*/{CONFIG}"))


def find(model: str) -> Path:
    """The folder of a model.

    Raises:
        ValueError: If there is none.
    """
    shipped = shipped_names()
    if model in shipped and not Path(model).exists():
        return SHIPPED / model
    if not Path(model).is_dir():
        raise ValueError(
            f"model must be a folder or a shipped model, got {model!r}; {nearest(model, shipped)}"
        )
    return Path(model)


def read_card(name: str, folder: Path) -> Card:
    """What a folder says of its model.

    Raises:
        NextPixelError: If that is missing, or no description of a model.
    """
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        return _card(name, config)
    except OSError as error:
        raise NextPixelError(f"{folder} is no model folder: it has no {CONFIG}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NextPixelError(f"{folder / CONFIG} describes no model of this version") from error


def _card(name: str, config: Mapping[str, Any]) -> Card:
    model, data, measured = config["model"], config["data"], config["evaluation"]
    colors, height, width = map(int, model["shape"])
    told = model["options"].get("condition") or []
    kind = _kind(model["name"], told)
    return Card(
        name=name,
        title=_title(name, model["name"]),
        shape=(colors, height, width),
        levels=int(model["levels"]),
        condition=kind,
        classes=int(told[0]["classes"]) if kind == "class" else None,
        unknown=kind == "class" and bool(told[0].get("dropout")),
        usable=kind != "other" or (model["name"] in CODED and not told),
        data=Path(data["name"]).name if data.get("name") else None,
        protocol=measured.get("protocol") or data.get("protocol"),
        nats=measured.get("nats"),
        bits_per_dim=measured.get("bits_per_dim"),
        standard_error=measured.get("standard_error"),
        given=measured.get("given"),
    )


def _kind(name: str, told: Sequence[Mapping[str, Any]]) -> str:
    if name in CODED or len(told) > 1:
        return "other"
    if not told:
        return "none"
    return "class" if "classes" in told[0] else "other"


def _title(name: str, kind: str) -> str:
    """That of the recipe of the same name, or the kind of model."""
    return recipes.read(name).title if name in recipes.names() else kind
