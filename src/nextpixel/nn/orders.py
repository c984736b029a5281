"""The order of the scan as a condition: one of the mirror orders, or any order by its indices.

The network knows the order of each image. A mirror order is the raster order of a turned image,
so images are turned before they reach the network; orders by index leave them as they are.
"""

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor

from nextpixel.errors import nearest
from nextpixel.nn.condition import ClassCondition
from nextpixel.order import (
    MIRRORS,
    Shape,
    indices_of,
    known_first,
    to_sequence,
    turn,
    turn_back,
)

Order: TypeAlias = int | str | Tensor | None
"""An order as users state it: number or name, or indices (H, W); None: left to the function."""


@dataclass(frozen=True)
class MirrorOrders(ClassCondition):
    """Which of so many mirror orders an image is scanned in, int64, (B,); see `order.MIRRORS`."""

    def __post_init__(self) -> None:
        """Check the number."""
        super().__post_init__()
        if self.classes not in (4, 8):
            raise ValueError(f"orders must be 1, 4 or 8, got {self.classes}")

    def default(self, count: int) -> Tensor:
        """The raster order."""
        return torch.zeros(count, dtype=torch.int64)

    def check(self, value: object, shape: Shape) -> None:
        """Refuse what is no batch of orders."""
        try:
            super().check(value, shape)
        except (TypeError, ValueError) as error:
            raise type(error)(str(error).replace("labels", "orders")) from None

    def example(self, count: int, rng: torch.Generator) -> Tensor:
        """A random order of each image."""
        return torch.randint(0, self.classes, (count,), generator=rng)

    def every(self) -> list[Tensor]:
        """All orders, each int64, ()."""
        return list(torch.arange(self.classes))

    def read(self, order: Order) -> Tensor:
        """An order by number or name, int64, ().

        Raises:
            ValueError: If there is no such order.
        """
        names = MIRRORS[: self.classes]
        if isinstance(order, str) and order not in names:
            raise ValueError(f"there is no order {order!r} of this model; {nearest(order, names)}")
        if isinstance(order, Tensor):
            raise TypeError("order must be a name or a number for mirror orders, got a tensor")
        number = names.index(order) if isinstance(order, str) else order or 0
        if not isinstance(number, int) or not 0 <= number < self.classes:
            raise ValueError(f"order must be 0..{self.classes - 1} for this model, got {order!r}")
        return torch.tensor(number)

    def best(self, known: Tensor, then: Tensor | None = None) -> Tensor:
        """The order in which most known sub-pixels (C, H, W) come before missing ones, int64, ().

        Counted are pairs of a known and a missing one; the first of equals is taken. `then`
        (C, H, W) is what should come next, before all else.
        """
        masks = [known] if then is None else [known, known | then]
        counts = [
            sum(_pairs(to_sequence(turn(mask, number).unsqueeze(0))[0]) for mask in masks)
            for number in range(self.classes)
        ]
        return torch.tensor(counts).argmax()

    def turn(self, images: Tensor, orders: Tensor, *, back: bool = False) -> Tensor:
        """Images (B, ..., H, W) so that the raster scan visits them in their orders, or back."""
        turned, how = torch.empty_like(images), turn_back if back else turn
        for order in sorted(set(orders.tolist())):
            chosen = orders == order
            turned[chosen] = how(images[chosen], order)
        return turned


@dataclass(frozen=True)
class AnyOrders:
    """Any order: the number of each pixel in it, int64, (B, H, W).

    Args:
        height: Of the images.
        columns: Their width.
        name: The order where none is stated.
    """

    height: int
    columns: int
    name: str = "s-curve"
    form: ClassVar[str] = "indices"
    width: ClassVar[int] = 1
    features: ClassVar[int] = 1

    def default(self, count: int) -> Tensor:
        """The order of that name."""
        return self.read(None).expand(count, -1, -1)

    def check(self, value: object, shape: Shape) -> None:
        """Refuse what is no batch of indices.

        Raises:
            TypeError: If it is no tensor of integers.
            ValueError: If it has another shape, or pixels share a number.
        """
        del shape
        if not isinstance(value, Tensor) or value.is_floating_point():
            raise TypeError("orders must be indices, a tensor of integers")
        if tuple(value.shape[1:]) != (self.height, self.columns):
            expected = f"(B, {self.height}, {self.columns})"
            raise ValueError(f"orders must be indices {expected}, got {tuple(value.shape)}")
        every = torch.arange(self.height * self.columns, device=value.device)
        if not bool((value.flatten(1).sort(1).values == every).all()):
            raise ValueError(f"orders must hold each of 0..{len(every) - 1} once an image")

    def example(self, count: int, rng: torch.Generator) -> Tensor:
        """One random order, of all images."""
        indices = torch.randperm(self.height * self.columns, generator=rng)
        return indices.view(self.height, self.columns).expand(count, -1, -1)

    def every(self) -> list[Tensor]:
        """The orders of that name from every corner, by rows and by columns, each (H, W)."""
        curve = "" if self.name in MIRRORS else f"{self.name}/"
        return [self.read(curve + mirror) for mirror in MIRRORS]

    def embed(self, value: Tensor) -> Tensor:
        """(B, H, W) -> (B, 1, H, W), floats."""
        return value.unsqueeze(1).to(torch.get_default_dtype())

    def read(self, order: Order) -> Tensor:
        """An order by name, or as indices, int64, (H, W).

        Raises:
            TypeError: If it is neither.
            ValueError: If there is no such order.
        """
        if isinstance(order, int):
            order = MIRRORS[order] if 0 <= order < len(MIRRORS) else str(order)
        if isinstance(order, Tensor):
            indices = order
        else:
            named = self.name if order is None else order
            indices = indices_of(named, self.height, self.columns)
        self.check(indices.unsqueeze(0), (1, self.height, self.columns))
        return indices

    def best(self, known: Tensor, then: Tensor | None = None) -> Tensor:
        """The order that visits pixels first of which all colors are known, (C, H, W) -> (H, W).

        `then` (C, H, W) comes next, before all else. The others follow along the curve, from that
        corner from which most known pixels come before missing ones: so a missing half is drawn
        from its border with the known one.
        """
        inside = known.all(0)
        curves = self.every()
        counts = [_pairs(inside.flatten()[one.flatten().argsort()]) for one in curves]
        indices = curves[int(torch.tensor(counts).argmax())]
        if then is not None:
            indices = known_first((known | then).all(0), indices)
        return known_first(inside, indices)

    def turn(self, images: Tensor, orders: Tensor, *, back: bool = False) -> Tensor:
        """Images as they are."""
        del orders, back
        return images


Orders: TypeAlias = MirrorOrders | AnyOrders


def _pairs(known: Tensor) -> int:
    """Pairs of a known and a missing one later, of a sequence (n,)."""
    inside = known.long()
    return int((inside.cumsum(0) * (1 - inside)).sum())
