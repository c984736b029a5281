"""Which models there are, as their folders describe them, and those loaded when first used.

The catalog needs no torch, so that the page is there at once; the cache imports it when asked.
"""

import json
import shlex
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nextpixel import recipes
from nextpixel.errors import NextPixelError, nearest
from nextpixel.playground.refusals import Refusal

if TYPE_CHECKING:
    from torch import Tensor

    from nextpixel.models import PixelModel

CONFIG = "config.json"
SHIPPED = Path(__file__).parents[1] / "shipped"
RASTER, BEST, PARTICLES = "raster", "best", "particles"
"""Ways to complete: in the raster order, in the model's order that visits most known pixels first,
by particles."""
ENCODERS = ("autoencoder",)
"""Kinds of models that make their condition of an image by themselves."""


@dataclass(frozen=True)
class Card:
    """What a folder says of its model, before that is loaded.

    Attributes:
        name: Its name in requests.
        argument: What a shell takes for it: as it was typed, in the folder where that was.
        title: What it is, in one line.
        kind: Of model, such as "gated-pixelcnn".
        shipped: Whether it comes with the package, and that is its name there.
        shape: (C, H, W).
        levels: K.
        condition: "none", "class", or "other".
        classes: How many, of a class-conditional model.
        takes_unknown: Whether label -1 stands for an unknown class.
        usable: Whether it can be run here: its condition is none, a class, or its image's own code.
        data: Name of the set it was trained on, without its folder.
        protocol: How levels were made of that set's pixels.
        nats: Of a test image.
        bits_per_dim: The same in bits a sub-pixel.
        standard_error: Of `nats`.
        conditioned_on: What `nats` are conditioned on, in words.
        ways: In which it can complete images.
    """

    name: str
    argument: str
    title: str
    kind: str
    shipped: bool
    shape: tuple[int, int, int]
    levels: int
    condition: str
    classes: int | None
    takes_unknown: bool
    usable: bool
    data: str | None
    protocol: str | None
    nats: float | None
    bits_per_dim: float | None
    standard_error: float | None
    conditioned_on: str | None
    ways: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The card as plain values, for JSON."""
        return asdict(self)


class Catalog:
    """Models by the names that requests call them by.

    Args:
        models: Names of shipped models and folders; none stands for all shipped models.

    Raises:
        ValueError: If there is no such model.
        NextPixelError: If a folder holds no description of a model, or one of images that a page of
            256 shades cannot show.
    """

    def __init__(self, models: Sequence[str] = ()) -> None:
        self.folders: dict[str, Path] = {}
        self.cards: dict[str, Card] = {}
        for model in models or shipped_names():
            folder = find(model)
            name = self._free(folder.resolve().name)
            self.folders[name] = folder
            self.cards[name] = read_card(name, folder, shlex.quote(str(model)))

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


def read_card(name: str, folder: Path, argument: str) -> Card:
    """What a folder says of its model, called `argument` in a shell.

    Raises:
        NextPixelError: If that is missing, or no description of a model.
    """
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        card = _card(name, argument, config, shipped=folder == SHIPPED / name)
    except OSError as error:
        raise NextPixelError(f"{folder} is no model folder: it has no {CONFIG}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NextPixelError(f"{folder / CONFIG} describes no model of this version") from error
    if card.levels > 256:
        raise NextPixelError(
            f"{folder}: the playground shows images of up to 256 levels, and this model has "
            f"{card.levels}; `nextpixel sample` draws them"
        )
    return card


def _card(name: str, argument: str, config: Mapping[str, Any], *, shipped: bool) -> Card:
    model, data, measured = config["model"], config["data"], config["evaluation"]
    colors, height, width = map(int, model["shape"])
    conditions = model["options"].get("condition") or []
    kind = _kind(model["name"], conditions)
    return Card(
        name=name,
        argument=argument,
        title=_title(name, model["name"]),
        kind=model["name"],
        shipped=shipped,
        shape=(colors, height, width),
        levels=int(model["levels"]),
        condition=kind,
        classes=int(conditions[0]["classes"]) if kind == "class" else None,
        takes_unknown=kind == "class" and bool(conditions[0].get("dropout")),
        usable=kind != "other" or (model["name"] in ENCODERS and not conditions),
        data=Path(data["name"]).name if data.get("name") else None,
        protocol=measured.get("protocol") or data.get("protocol"),
        nats=measured.get("nats"),
        bits_per_dim=measured.get("bits_per_dim"),
        standard_error=measured.get("standard_error"),
        conditioned_on=measured.get("given"),
        ways=_ways(model["name"], model["options"].get("orders", 1), kind),
    )


def _ways(name: str, orders: int, condition: str) -> tuple[str, ...]:
    """In which images can be completed, that which does best first."""
    if name == "locally-masked":
        return (BEST,)
    best = (BEST,) if orders > 1 else ()
    particles = (PARTICLES,) if name != "mixture" and condition != "other" else ()
    return (*best, *particles, RASTER)


def _kind(name: str, conditions: Sequence[Mapping[str, Any]]) -> str:
    if name in ENCODERS or len(conditions) > 1:
        return "other"
    if not conditions:
        return "none"
    return "class" if "classes" in conditions[0] else "other"


def _title(name: str, kind: str) -> str:
    """That of the recipe of the same name, or the kind of model."""
    return recipes.read(name).title if name in recipes.names() else kind


class TestImages(NamedTuple):
    """Test images of a model's data set.

    Attributes:
        levels: uint8, (N, C, H, W).
        labels: int64, (N,), or None.
    """

    levels: "Tensor"
    labels: "Tensor | None"


class ModelCache:
    """Models and test images, loaded when first asked for, and kept.

    Args:
        catalog: The models there are.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._models: dict[str, PixelModel] = {}
        self._images: dict[str, TestImages] = {}
        self._loading = threading.Lock()

    def warm_up(self) -> None:
        """Import what a model needs, and sample an image, so that the next is quick."""
        import torch

        import nextpixel as npx

        plain = [name for name, card in self.catalog.cards.items() if card.condition == "none"]
        if plain:
            npx.sample(self.model(plain[-1]), 1, rng=torch.Generator().manual_seed(0))

    def model(self, name: str) -> "PixelModel":
        """A model; only the worker asks.

        Raises:
            Refusal: 500, if its folder is damaged.
        """
        from nextpixel import checkpoint

        if name not in self._models:
            try:
                self._models[name] = checkpoint.load(self.catalog.folders[name])
            except Exception as error:  # the text names files: it is for the terminal only
                print(f"nextpixel: {error}", file=sys.stderr)
                text = f"{name} cannot be loaded; the server's terminal says how"
                raise Refusal(text, "model", status=500) from error
        return self._models[name]

    def images(self, card: Card) -> TestImages:
        """Test images of the data set that a model was trained on.

        Raises:
            Refusal: 404, if they are not available.
        """
        with self._loading:
            if card.name not in self._images:
                self._images[card.name] = self._shared(card) or self._load(card)
            return self._images[card.name]

    def _shared(self, card: Card) -> TestImages | None:
        """Those of another model that was trained on the same data."""
        mine = self._section(card.name)
        same = (name for name in self._images if self._section(name) == mine)
        return next((self._images[name] for name in same), None)

    def _section(self, name: str) -> dict[str, Any]:
        from nextpixel import checkpoint

        section: dict[str, Any] = checkpoint.read_config(self.catalog.folders[name])["data"]
        return section

    def _load(self, card: Card) -> TestImages:
        if card.data is None:
            raise Refusal(f"{card.name} does not say what it was trained on", "name", status=404)
        try:
            found = _load(self._section(card.name), card)
        except Exception as error:
            print(f"nextpixel: {error}", file=sys.stderr)
            text = f"the test images of {card.name} are not available"
            raise Refusal(text, "name", status=404) from error
        if tuple(found.levels.shape[1:]) != card.shape:
            raise Refusal(f"the test images of {card.name} have another shape", status=404)
        return found


def _load(section: dict[str, Any], card: Card) -> TestImages:
    from nextpixel.config import build as build_config
    from nextpixel.data import load_config
    from nextpixel.data.config import DataConfig

    known = {field.name for field in fields(DataConfig)}
    kept = {key: value for key, value in section.items() if key in known}
    config = build_config(DataConfig, kept, f"{card.name}: data")
    test = load_config(replace(config, limit=None, levels=card.levels)).test
    return TestImages(test.levels, test.labels)
