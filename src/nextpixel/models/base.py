r"""What every model is: a network that sees the past only, and a head.

Calling a model on levels returns the distribution of every sub-pixel given its past, in one pass:

.. math:: \log p(x) = \sum_i \log p(x_i \mid x_0, \ldots, x_{i-1}).

A model knows shapes and levels; it does not know data sets, training or sampling.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from nextpixel.heads import Distribution, Head, make_head
from nextpixel.images import check_integers, check_levels, to_network
from nextpixel.models.options import ModelConfig, check_groups, color_groups
from nextpixel.models.ordering import Ordered
from nextpixel.nn import (
    NO_EMBEDDING,
    ClassCondition,
    Condition,
    Conditioner,
    Embedding,
    Injection,
    Injections,
    LevelFeatures,
    MaskedConv2d,
    Value,
    take,
)
from nextpixel.nn.condition import in_words
from nextpixel.order import Shape, by_cross, read_shape
from nextpixel.program import Map, Program

MODE_MATTERS = (nn.BatchNorm2d, nn.Dropout, nn.Dropout2d)
"""Layers that compute something else in training mode."""

NO_KERNELS = (Conditioner, Injection)
"""Modules whose weights act on a condition, not on features."""


class PixelModel(Ordered, nn.Module, ABC):
    """Base of all models.

    Subclasses set `name` and `Config`, build their layers, of which `last` gives the outputs, and
    define `network` and `reach`.

    Args:
        shape: (C, H, W) of the images.
        levels: K, 2 to 65,536.
        config: The model's options.
        conditions: Its conditions in addition to the past; None: those of `config`.

    Raises:
        ValueError: If `shape` or `levels` is invalid.
    """

    name: ClassVar[str]
    Config: ClassVar[type[ModelConfig]]
    config: ModelConfig
    head: Head
    last: MaskedConv2d
    ADDED: ClassVar[tuple[str, ...]] = ("bias", "map")
    """Forms of a condition that are added after a convolution."""

    def __init__(
        self,
        shape: Shape,
        levels: int,
        config: ModelConfig,
        conditions: Sequence[Condition] | None = None,
    ) -> None:
        super().__init__()
        check_levels(levels)
        self.shape = shape = read_shape(shape)
        self.levels = levels
        self.config = config
        self.edge = config.edge
        count = config.level_features
        self.level_features = LevelFeatures(levels, count) if count else None
        self.groups = color_groups(config.colors, shape[0])
        check_groups(config, self.groups)
        self.head = make_head(levels, shape[0], config)
        conditions = config.condition if conditions is None else conditions
        self.conditioner = Conditioner(conditions, shape, self.order_condition(conditions))

    def __repr__(self) -> str:
        """One line; `print(model)` shows the layers, as torch does."""
        weights = sum(parameter.numel() for parameter in self.parameters())
        what = [by_cross(self.shape), f"{self.levels:,} levels", f"{weights:,} parameters"]
        conditions = map(in_words, self.conditioner.conditions)
        return f"{type(self).__name__}({', '.join([*what, *conditions])})"

    def __str__(self) -> str:
        return nn.Module.__repr__(self)

    @property
    def colors(self) -> int:
        """Number of colors C."""
        return self.shape[0]

    @property
    def inputs(self) -> int:
        """Input planes of the network."""
        return self.colors * (1 + self.edge + self.config.level_features)

    @property
    def outputs(self) -> int:
        """Output planes of the network: the head's parameters, color by color."""
        return self.head.outputs(self.colors)

    def add_last(self, inputs: int) -> None:
        """Add the convolution that gives the outputs, as `last`, and where it takes in conditions.

        Its weights are zeros: training starts from the head's `initial`, near uniform.
        """
        self.last = MaskedConv2d(inputs, self.outputs, 1, groups=self.groups, sees_self=True)
        nn.init.zeros_(self.last.weight)
        if self.last.bias is not None and self.head.initial(self.colors).any():
            self.last.bias.data.copy_(self.head.initial(self.colors))
        every = self.config.condition_all
        self.inject_last = Injections(
            self.conditioner, inputs, self.outputs, after=self.ADDED, enabled=every
        )

    def read_out(self, x: Tensor, embedding: Embedding) -> Tensor:
        """`last` on features (B, inputs, h, w), with conditions."""
        outputs: Tensor = self.inject_last(self.last, x, embedding)
        return outputs

    def lower_last(self, program: Program, x: Map) -> None:
        """`read_out` as operations that end the program."""
        program.output = self.inject_last.lower(program, self.last.lower, x)

    def kernels(self) -> list[nn.Parameter]:
        """Weights that an optimiser may read as matrices: kernels of hidden convolutions."""
        outside = (self.last, *(part for part in self.modules() if isinstance(part, NO_KERNELS)))
        others = {id(weight) for module in outside for weight in module.parameters()}
        return [
            weight for weight in self.parameters() if weight.ndim == 4 and id(weight) not in others
        ]

    @property
    @abstractmethod
    def reach(self) -> int:
        """Rows above, and columns to either side, that a step can depend on at most."""

    @abstractmethod
    def network(self, x: Tensor, embedding: Embedding, corner: tuple[int, int] = (0, 0)) -> Tensor:
        """The network proper, on an image or on a window of one.

        Args:
            x: What `encode` made, or a window of it, shape (B, inputs, h, w).
            embedding: Conditions, for the same window.
            corner: Row and column in the image of the window's first pixel.

        Returns:
            Parameters of the head, shape (B, outputs, h, w).
        """

    def lower(self) -> Program:
        """The network as a program, for samplers that compute each value once.

        Raises:
            NotImplementedError: If this kind of model has no such form.
        """
        raise NotImplementedError(f"{self.name} cannot be lowered to a program")

    def encode(self, levels: Tensor) -> Tensor:
        """Levels (B, C, H, W) -> network input (B, inputs, H, W), in the dtype of the weights."""
        x = self.shown(levels, next(self.parameters()).dtype)
        return x.movedim(-1, 2).flatten(1, 2)

    def shown(self, levels: Tensor, dtype: torch.dtype) -> Tensor:
        """What the network sees of levels of any shape, (..., planes): level, ones, features."""
        x = self.scaled(levels, dtype)
        planes = torch.stack([x, torch.ones_like(x)] if self.edge else [x], -1)
        if self.level_features is None:
            return planes
        return torch.cat([planes, self.level_features(levels).to(dtype)], -1)

    def scaled(self, levels: Tensor, dtype: torch.dtype) -> Tensor:
        """Levels of any shape on the network's scale."""
        return to_network(levels, self.levels, dtype, self.config.scale)

    if TYPE_CHECKING:  # torch's own says Any

        def __call__(self, levels: Tensor, condition: Value | None = None) -> Distribution:
            """As `forward`."""

    def forward(self, levels: Tensor, condition: Value | None = None) -> Distribution:
        """Predict every sub-pixel from its past.

        Args:
            levels: Integers 0..K-1, shape (B, C, H, W).
            condition: Of the kinds that the model was built with, one entry an image: labels (B,),
                vectors (B, D) or maps (B, D, h, w); a tuple of them where there are several.

        Returns:
            Distributions over (B, C, H, W).

        Raises:
            TypeError: If `levels` are no integers or the condition is of another kind.
            ValueError: If a shape or range is not the model's, or its device, there is no image,
                or the condition is missing or not asked for.
        """
        self.check_device(levels)
        self.check(levels)
        return self.predict(levels, self.condition(condition, len(levels)))

    def condition(self, condition: Value | None, count: int) -> Embedding:
        """Check a condition for `count` images, and embed it; errors as in `forward`."""
        weight = next(self.parameters())
        embedding: Embedding = self.conditioner(take(condition, slice(None), weight.device), count)
        return Embedding(tuple(part.to(weight) for part in embedding.parts))

    def predict(self, levels: Tensor, embedding: Embedding = NO_EMBEDDING) -> Distribution:
        """`forward` without its checks; differentiable where `levels` are floats.

        The head reads numbers of the weights' type, also where the network ran in a shorter one.
        """
        x = self.encode(levels)
        return self.read_head(self.network(x, embedding).to(x.dtype), levels)

    def read_head(self, outputs: Tensor, levels: Tensor, colors: int | None = None) -> Distribution:
        """The head's distributions from outputs (B, outputs, H, W) and levels (B, C, H, W)."""
        seen = (levels,) if self.head.sees_colors else ()
        return self.head(outputs, colors or self.colors, *seen)

    def log_prob_at(self, levels: Tensor, places: Tensor, condition: Value | None = None) -> Tensor:
        """Log-probabilities in nats, (B, C, n), of pixels row * W + column (B, n), by `forward`."""
        log_p = self(levels, condition).log_prob(levels).flatten(2)
        return log_p.gather(2, places[:, None].expand(-1, log_p.shape[1], -1))

    @property
    def condition_in_words(self) -> str:
        """What a likelihood of this model is conditioned on."""
        conditions = self.conditioner.conditions
        return self.conditioner.describe() if conditions else "nothing"

    def own_condition(self, levels: Tensor) -> Value | None:
        """The condition that the model makes of images by itself, if it is one that does."""
        del levels
        return None

    def condition_of(self, levels: Tensor, labels: Tensor | None) -> Value | None:
        """The condition that training and evaluation give with labelled images.

        Args:
            levels: The images, shape (B, C, H, W).
            labels: Their labels, shape (B,), or None.

        Raises:
            ValueError: If the model's conditions do not follow from labels.
        """
        del levels
        conditions = self.conditioner.conditions
        if not conditions:
            return None
        if len(conditions) > 1 or not isinstance(conditions[0], ClassCondition):
            raise ValueError(
                f"condition_of must be given: the model takes {self.conditioner.describe()}, which "
                "does not follow from images and labels"
            )
        if labels is None:
            raise ValueError("data must have labels for a class-conditional model, got none")
        return labels

    def log_prob(self, levels: Tensor, condition: Value | None = None) -> Tensor:
        """Exact log-probability of images.

        Args:
            levels: Integers 0..K-1, shape (B, C, H, W), of any size that `at_size` makes.
            condition: As in `forward`.

        Returns:
            Nats, shape (B,).

        Raises:
            TypeError: If `levels` are no integers or the condition is of another kind.
            ValueError: If a shape or range is not the model's, the condition does not fit, or the
                model is in training mode and that changes what it computes.
        """
        self.check_weights()
        if self.training and self.mode_matters:
            raise ValueError(
                "log_prob must be taken in evaluation mode, got a model in training mode, where "
                "batch norm lets a pixel see its future; call model.eval() first"
            )
        from nextpixel.models.sizes import fitting, log_prob_map  # they build models

        self.check_device(levels)
        model = fitting(self, getattr(levels, "shape", ())[1:])
        return log_prob_map(model, levels, condition).flatten(1).sum(1)

    def sample(
        self, count: int = 1, *, condition: Value | None = None, rng: torch.Generator | None = None
    ) -> Tensor:
        """Draw images: `nextpixel.sample`, which has more options.

        Args:
            count: How many.
            condition: As in `forward`.
            rng: Source of the uniforms, on the CPU; None: torch's global generator.

        Returns:
            Levels, `images.level_dtype(K)`, shape (count, C, H, W).
        """
        import nextpixel  # the parts after this one are the package's

        drawn: Tensor = nextpixel.sample(self, count, condition=condition, rng=rng)
        return drawn

    def initialize(self, levels: Tensor, condition: Value | None = None) -> None:
        """Fit to a batch what training is to start from; most models have nothing to fit.

        Args:
            levels: Images to train on, (B, C, H, W).
            condition: As in `forward`.
        """
        del levels, condition

    @property
    def mode_matters(self) -> bool:
        """Whether training mode computes something else, as batch norm does (not causally)."""
        return any(isinstance(module, MODE_MATTERS) for module in self.modules())

    def check_weights(self) -> None:
        """Refuse weights of fewer bits than float32, whose products would round a likelihood.

        Raises:
            ValueError: If one is of such a type.
        """
        for weight in self.parameters():
            if weight.is_floating_point() and torch.finfo(weight.dtype).bits < 32:
                kind = str(weight.dtype).removeprefix("torch.")
                raise ValueError(
                    f"weights of the model must be of float32 or float64, got {kind}, in which "
                    "likelihoods are rounded; model.float() makes them float32"
                )

    def check_device(self, levels: object) -> None:
        """Refuse levels that lie on another device.

        Raises:
            ValueError: With the remedy.
        """
        own = next(self.parameters()).device
        if isinstance(levels, Tensor) and levels.device != own:
            raise ValueError(
                f"levels must be on the model's device, {own}, got {levels.device}; "
                f"levels.to({str(own)!r}) puts them there"
            )

    def check(self, levels: Tensor) -> None:
        """Refuse what is no batch of images of this model.

        Raises:
            TypeError: If `levels` are no integers.
            ValueError: If their shape or range is not the model's.
        """
        check_integers(levels, self.levels)
        if levels.ndim != 4 or tuple(levels.shape[1:]) != self.shape:
            from nextpixel.models.sizes import wrong_shape

            raise ValueError(wrong_shape(self, tuple(levels.shape)))
        if not len(levels):
            raise ValueError("levels must have at least one image, got none")
        if not 0 <= int(levels.min()) <= int(levels.max()) < self.levels:
            low, high = int(levels.min()), int(levels.max())
            raise ValueError(f"levels must be 0..{self.levels - 1}, got {low}..{high}")


def check_model(model: object) -> None:
    """Refuse what is no model.

    Raises:
        TypeError: With what makes one.
    """
    if not isinstance(model, nn.Module) or not hasattr(model, "read_out"):  # or compiled by torch
        raise TypeError(
            f"model must be a model, got {type(model).__name__}; npx.load(name) reads one, and "
            "npx.build(name, ...) makes one"
        )
