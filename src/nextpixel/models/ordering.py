"""What a model knows of scan orders: one, its mirror images, or any (`nextpixel.nn.orders`)."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from nextpixel.models.options import ModelConfig
from nextpixel.nn import (
    AnyOrders,
    Condition,
    Conditioner,
    MapCondition,
    MirrorOrders,
    Order,
    Orders,
    Value,
)
from nextpixel.order import Shape


class Ordered:
    """The part of `PixelModel` that is about the order of the scan."""

    name: ClassVar[str]
    shape: Shape
    config: ModelConfig
    conditioner: Conditioner

    def order_condition(self, conditions: Sequence[Condition]) -> Orders | None:
        """The condition that tells the network the order of the scan, if that may vary.

        Raises:
            ValueError: If it may not, for these images or with another of the conditions.
        """
        if self.config.orders == 1:
            return None
        _, height, width = self.shape
        if self.config.orders == 8 and height != width:
            raise ValueError(
                f"orders must be 4 for images that are not square, got 8 for {height}x{width}"
            )
        if any(isinstance(condition, MapCondition) for condition in conditions):
            raise ValueError("orders must be 1 for a model conditioned on maps: they do not turn")
        return MirrorOrders(self.config.orders)

    @property
    def any_order(self) -> bool:
        """Whether the scan may visit pixels in any order, not in mirror orders only."""
        return isinstance(self.conditioner.order, AnyOrders)

    def read_order(self, order: Order) -> Tensor | None:
        """An order as the network takes it, the model's own where none is stated.

        Args:
            order: Its name, number or indices.

        Returns:
            int64, () or (H, W); None: the model has the raster order only.

        Raises:
            TypeError: If it is none of these.
            ValueError: If it has no such order.
        """
        if isinstance(order, bool) or not isinstance(order, int | str | Tensor | None):
            raise TypeError(
                f"order must be a name, a number or a tensor of indices, got {type(order).__name__}"
            )
        if self.conditioner.order is None and order is not None:
            raise ValueError(f"order must be left out: this {self.name} has the raster order only")
        return None if self.conditioner.order is None else self.conditioner.order.read(order)

    def draw_orders(self, count: int, rng: torch.Generator) -> Tensor | None:
        """An order for each of some images to train on; None where there is one order only."""
        order = self.conditioner.order
        return None if order is None else order.example(count, rng)

    def in_order(
        self, levels: Tensor, condition: Value | None, orders: Tensor
    ) -> tuple[Tensor, Value]:
        """What the network is called with to scan images in some orders.

        Args:
            levels: Shape (B, C, H, W).
            condition: Of the images, without the order.
            orders: Of each image, as the model's condition on the order has them.

        Returns:
            The images, turned where the order is a mirror one, and the condition with the orders.
        """
        assert self.conditioner.order is not None, "the model has the raster order only"
        turned = self.conditioner.order.turn(levels, orders)
        return turned, self.conditioner.with_order(condition, orders)
