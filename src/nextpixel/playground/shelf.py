"""Models and test images, loaded when first asked for, and kept."""

import sys
import threading
from collections import OrderedDict
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nextpixel.playground.catalog import Card, Catalog
from nextpixel.playground.problems import Refusal

if TYPE_CHECKING:
    from torch import Tensor

    from nextpixel.models import PixelModel

SIGHTS = 4096
"""Receptive fields kept: those of the pixels looked at last."""


class TestImages(NamedTuple):
    """Test images of a model's data set.

    Attributes:
        levels: uint8, (N, C, H, W).
        labels: int64, (N,), or None.
    """

    levels: "Tensor"
    labels: "Tensor | None"


class Shelf:
    """What models and images a catalog's names stand for.

    Args:
        catalog: The models there are.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._models: dict[str, PixelModel] = {}
        self._images: dict[str, TestImages] = {}
        self._sights: OrderedDict[tuple[str, int, int, int], NDArray[Any]] = OrderedDict()
        self._loading = threading.Lock()

    def warm(self) -> None:
        """Import what a model needs, and draw a first image, so that the next is quick."""
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
            Refusal: 404, if they are not at hand.
        """
        with self._loading:
            if card.name not in self._images:
                self._images[card.name] = self._same(card) or self._load(card)
            return self._images[card.name]

    def sight(self, name: str, row: int, column: int, color: int) -> NDArray[Any]:
        """Pixels that a step's prediction depends on, boolean, (H, W); only the worker asks."""
        from nextpixel.audit import field_of
        from nextpixel.order import Step

        key = (name, row, column, color)
        if key not in self._sights:
            self._sights[key] = field_of(self.model(name), Step(row, column, color)).any(0).numpy()
            if len(self._sights) > SIGHTS:
                self._sights.popitem(last=False)
        self._sights.move_to_end(key)
        return self._sights[key]

    def _same(self, card: Card) -> TestImages | None:
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
            text = f"the test images of {card.name} are not at hand"
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


def as_levels(array: NDArray[np.uint8]) -> "Tensor":
    """Levels of a request as a tensor of its own, int64."""
    import torch

    return torch.from_numpy(array.astype(np.int64))
