"""How conditions reach layers: checked and embedded once, added by weights of each layer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nextpixel.nn.condition import (
    ClassCondition,
    Condition,
    MapCondition,
    Value,
    VectorCondition,
)
from nextpixel.nn.orders import Orders
from nextpixel.order import Shape


@dataclass(frozen=True)
class Embedding:
    """Conditions of a batch as layers receive them.

    Attributes:
        parts: One for each condition: a vector (B, D, 1, 1) or a map (B, D, h, w) of the window.
    """

    parts: tuple[Tensor, ...] = ()

    @property
    def everywhere(self) -> bool:
        """Whether all parts are vectors: the same at every place."""
        return all(part.shape[2:] == (1, 1) for part in self.parts)

    def window(self, corner: tuple[int, int], height: int, width: int) -> "Embedding":
        """The same for a window of the image; vectors are the same everywhere."""
        row, column = corner
        return replace(
            self,
            parts=tuple(
                part
                if part.shape[2:] == (1, 1)
                else part[:, :, row : row + height, column : column + width]
                for part in self.parts
            ),
        )

    def part(self, images: slice) -> "Embedding":
        """The same for some images of the batch."""
        return Embedding(tuple(part[images] for part in self.parts))

    def share_out(self, count: int) -> list["Embedding"]:
        """Split the batch into `count` shares, as `torch.tensor_split` does."""
        if not self.parts:
            return [self] * count
        shares = [torch.tensor_split(part, count) for part in self.parts]
        return [Embedding(parts) for parts in zip(*shares, strict=True)]


NO_EMBEDDING = Embedding()
"""No condition at all."""


class Conditioner(nn.Module):
    """Checks what a user gives and turns it into an embedding for the layers.

    Args:
        conditions: What can be given.
        shape: (C, H, W) of the images.
        order: Set if the order of the scan may vary: it is then one more condition, the last, and
            has a default.

    Attributes:
        every: All conditions, the order with them.
    """

    def __init__(
        self, conditions: Sequence[Condition], shape: Shape, order: Orders | None = None
    ) -> None:
        super().__init__()
        self.conditions, self.shape, self.order = tuple(conditions), shape, order
        self.every = self.conditions if order is None else (*self.conditions, order)
        self.makers = nn.ModuleList(
            MapMaker(condition.width, condition.features, shape)
            if condition.form == "map" and not isinstance(condition, MapCondition)
            else nn.Identity()
            for condition in self.every
        )

    def widths(self, *forms: str) -> list[int]:
        """Planes of each part whose form is one of `forms`; 0 for the others."""
        return [
            (condition.features if isinstance(maker, MapMaker) else condition.width)  # type: ignore[union-attr]
            if condition.form in forms
            else 0
            for condition, maker in zip(self.every, self.makers, strict=True)
        ]

    def forward(self, value: Value | None, count: int) -> Embedding:
        """Turn a condition for `count` images into an embedding.

        Raises:
            TypeError: If it is of another kind.
            ValueError: If it is missing, not asked for, or of another shape or range.
        """
        values = self.checked(value, count)
        parts = []
        for condition, maker, one in zip(self.every, self.makers, values, strict=True):
            parts.append(self._widen(maker(condition.embed(one).to(self._like(one)))))
        return Embedding(tuple(parts))

    def checked(self, value: Value | None, count: int) -> tuple[Tensor, ...]:
        """One value for each condition, of the right kind and number; errors as in `forward`."""
        values = self.complete(value, count)
        for condition, one in zip(self.every, values, strict=True):
            condition.check(one, self.shape)
            if len(one) != count:
                raise ValueError(f"condition must have one entry an image, {count}, got {len(one)}")
        return values

    def complete(self, value: Value | None, count: int) -> tuple[Tensor, ...]:
        """One value for each condition; labels and orders that may be missing get their default."""
        optional = len(self.conditions) == 1 and getattr(self.conditions[0], "dropout", 0) > 0
        if value is None and optional:
            value = torch.full((count,), -1)
        if value is None and self.conditions:
            raise ValueError(f"condition must be given: {self.describe()}")
        values = () if value is None else value if isinstance(value, tuple) else (value,)
        if not self.every and values:
            raise ValueError("condition must be None: the model was built without one")
        if self.order is not None and len(values) == len(self.conditions):
            values = (*values, self.order.default(count))
        if len(values) != len(self.every):
            raise ValueError(f"condition must be {self.describe()}, got {len(values)} of them")
        return values

    def with_order(self, value: Value | None, orders: Tensor) -> Value:
        """A condition that says the order of each image, (B, ...), too.

        Raises:
            ValueError: If it is missing, or says an order already.
        """
        values = self.complete(value, len(orders))
        if value is not None and (len(value) if isinstance(value, tuple) else 1) == len(values):
            raise ValueError("the order must be stated by `order`, got one in the condition")
        return (*values[:-1], orders)

    def example(self, count: int, rng: torch.Generator) -> Value | None:
        """A random condition for `count` images, of the kind that users give."""
        values = []
        for condition in self.conditions:
            if isinstance(condition, ClassCondition):
                values.append(torch.randint(0, condition.classes, (count,), generator=rng))
            else:
                size = self.shape[1:] if isinstance(condition, MapCondition) else ()
                values.append(torch.randn(count, condition.width, *size, generator=rng))
        return None if not values else values[0] if len(values) == 1 else tuple(values)

    def example_in_order(self, count: int, rng: torch.Generator) -> Value | None:
        """As `example`, with random orders where these may vary."""
        value = self.example(count, rng)
        return (
            value if self.order is None else self.with_order(value, self.order.example(count, rng))
        )

    def hide(self, value: Value | None, rng: torch.Generator) -> Value | None:
        """Replace the share of labels that training hides by -1, "unknown".

        What does not fit is left as it is, for `forward` to refuse.
        """
        if value is None:
            return None
        values = value if isinstance(value, tuple) else (value,)
        if len(values) != len(self.conditions):
            return value
        hidden = tuple(
            _hide(one, condition.dropout, rng)
            if isinstance(condition, ClassCondition) and isinstance(one, Tensor)
            else one
            for condition, one in zip(self.conditions, values, strict=True)
        )
        return hidden if isinstance(value, tuple) else hidden[0]

    def describe(self) -> str:
        """What a user must give, in words."""
        words = []
        for condition in self.conditions:
            if isinstance(condition, ClassCondition):
                words.append(f"labels (B,), 0..{condition.classes - 1}")
            elif isinstance(condition, VectorCondition):
                words.append(f"vectors (B, {condition.size})")
            else:
                words.append(f"maps (B, {condition.channels}, h, w)")
        return words[0] if len(words) == 1 else f"a tuple of {', '.join(words)}"

    def _like(self, value: Tensor) -> torch.dtype:
        weights = list(self.makers.parameters())
        if weights:
            return weights[0].dtype
        return value.dtype if value.is_floating_point() else torch.get_default_dtype()

    def _widen(self, part: Tensor) -> Tensor:
        _, height, width = self.shape
        if part.shape[2:] == (1, 1):
            return part
        part = part.repeat_interleave(height // part.shape[2], 2)
        return part.repeat_interleave(width // part.shape[3], 3)


def _hide(labels: Tensor, share: float, rng: torch.Generator) -> Tensor:
    if not share:
        return labels
    return torch.where(torch.rand(len(labels), generator=rng) < share, -1, labels)


class MapMaker(nn.Module):
    """s = m(h): a vector to a map, by two transposed convolutions that double its size.

    Args:
        inputs: Length of the vector.
        features: Planes of the map.
        shape: (C, H, W) of the images.
    """

    def __init__(self, inputs: int, features: int, shape: Shape) -> None:
        super().__init__()
        _, self.height, self.width = shape
        self.first = nn.ConvTranspose2d(
            inputs, features, (-(-self.height // 4), -(-self.width // 4))
        )
        self.second = nn.ConvTranspose2d(features, features, 4, stride=2, padding=1)
        self.third = nn.ConvTranspose2d(features, features, 4, stride=2, padding=1)

    def forward(self, vector: Tensor) -> Tensor:
        """(B, inputs, 1, 1) -> (B, features, H, W)."""
        s = self.third(F.relu(self.second(F.relu(self.first(vector)))))
        cropped: Tensor = s[:, :, : self.height, : self.width]
        return cropped


class Injection(nn.Module):
    """What one layer adds for the conditions: a sum of 1x1 convolutions of their parts.

    Args:
        widths: Planes of each part; 0 for a part that is not added here.
        features: Features of the layer that it is added to.
    """

    def __init__(self, widths: Sequence[int], features: int) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(
            {
                str(number): nn.Conv2d(width, features, 1, bias=False)
                for number, width in enumerate(widths)
                if width
            }
        )

    @property
    def is_empty(self) -> bool:
        """Whether it adds nothing, whatever is given."""
        return not len(self.layers)

    def forward(self, x: Tensor, embedding: Embedding) -> Tensor:
        """X + what the conditions add, (B, features, H, W) -> the same.

        Raises:
            ValueError: If there is no embedding of a condition that the layer takes.
        """
        for number, layer in self.layers.items():
            if int(number) >= len(embedding.parts):
                raise ValueError(
                    "condition must be given: the model takes one, and `model.condition` embeds it"
                )
            x = x + layer(embedding.parts[int(number)])
        return x
