r"""A mixture is a model: of the classes of a conditional net, of several nets, or of both.

Classes. A class-conditional net is a model without a condition once its label is summed out: with
w_c the probability of class c given the levels before sub-pixel i, all classes alike at first,

.. math:: q(x_i \mid x_{<i}) = \sum_c w_c\, p(x_i \mid x_{<i}, c), \qquad
    w_c = \frac{p(x_{<i} \mid c)}{\sum_{c'} p(x_{<i} \mid c')}.

A product of these over the image is exactly the mean of p(x | c) over classes. At the start of each
row but the first, classes with w_c below `least_posterior` are left out for the rest of the image
and the others' weights renormalised; the likeliest stays. Then it is no longer that mean, by
little, but it is a prediction from the past still, so that all images' probabilities sum to one.

Nets. Where there are several, the mixture's prediction is the normalised geometric mean of theirs:
the logarithms are averaged for each level of each sub-pixel, and normalised.

What it does not know: how its parts were trained. Labels were needed to train a conditional net,
and are not needed here.

References:
    Hinton (2002), Training Products of Experts by Minimizing Contrastive Divergence, section 1: the
    normalised geometric mean, there of all images at once. https://doi.org/10.1162/089976602760128018
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from nextpixel.models.base import PixelModel
from nextpixel.models.options import ModelConfig, Part
from nextpixel.models.registry import build_from, register
from nextpixel.nn import ClassCondition, Embedding
from nextpixel.order import Shape, from_sequence, to_sequence

NUMBERS = 2**25
"""Log-probabilities that are listed at a time, of all classes and levels of some images."""


@dataclass(frozen=True, kw_only=True)
class MixtureConfig(ModelConfig):
    """Options of `Mixture`; those of other models are its parts' own.

    Attributes:
        parts: The nets, each without a condition or with a class label alone.
        least_posterior: Probability of a class given the rows above, below which it is left out;
            0 leaves out none.
    """

    head: str = "categorical"
    parts: tuple[Part, ...] = ()
    least_posterior: float = 1e-4

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: Naming the option.
        """
        super().__post_init__()
        if not self.parts:
            raise ValueError("parts must be at least one net, got none")
        if not 0 <= self.least_posterior < 1:
            raise ValueError(
                f"least_posterior must be at least 0 and below 1, got {self.least_posterior}"
            )
        for field in fields(self):
            if field.name not in OWN and getattr(self, field.name) != field.default:
                raise ValueError(f"{field.name} must be left out: a mixture's parts have their own")


OWN = ("parts", "least_posterior")
"""Options that a mixture has."""


@register
class Mixture(PixelModel):
    """Nets that predict together; see this file for how.

    It has no condition, and its network gives the log-probabilities of all levels.

    Args:
        shape: (C, H, W) of the images.
        levels: K, up to 16,384.
        config: Its parts.

    Raises:
        ValueError: If a part has another condition than a class label.
    """

    name = "mixture"
    Config = MixtureConfig
    config: MixtureConfig

    def __init__(self, shape: Shape, levels: int, config: MixtureConfig) -> None:
        super().__init__(shape, levels, config)
        self.parts = nn.ModuleList(
            build_from(part.name, shape=shape, levels=levels, options=part.as_dict())
            for part in config.parts
        )
        self.classes = tuple(classes_of_part(part) for part in self.nets)

    @property
    def nets(self) -> list[PixelModel]:
        """The parts."""
        return list(self.parts)  # type: ignore[arg-type]

    @property
    def reach(self) -> int:
        """The whole image: a class is the likelier for all that was seen."""
        return max(self.shape[1:])

    @property
    def condition_in_words(self) -> str:
        """What a likelihood of this model is conditioned on."""
        return "nothing, class summed out" if any(self.classes) else "nothing"

    def kernels(self) -> list[nn.Parameter]:
        """Those of the parts."""
        return [kernel for net in self.nets for kernel in net.kernels()]

    def encode(self, levels: Tensor) -> Tensor:
        """Levels (B, C, H, W) as they are, in floats that hold them: each part has its scale."""
        dtype = next(self.parameters()).dtype
        return levels.to(torch.promote_types(dtype, torch.float32))

    def network(self, x: Tensor, embedding: Embedding, corner: tuple[int, int] = (0, 0)) -> Tensor:
        """Log-probabilities up to a constant, (B, C * K, h, w), of levels (B, C, h, w).

        A window must begin at the top left, since the classes are judged by all that was seen.
        """
        del embedding
        assert corner == (0, 0), "a window of a mixture begins at the top left"
        listed = math.prod(x.shape[1:]) * self.levels * max(1, *self.classes)
        some = torch.split(x, max(1, NUMBERS // listed))
        log_p = torch.cat([self._mean(levels) for levels in some])
        return log_p.movedim(-1, 2).flatten(1, 2)

    def _mean(self, levels: Tensor) -> Tensor:
        """Mean over parts of the log-probabilities of all levels, (B, C, h, w, K)."""
        found = [
            self._without_class(net, classes, levels)
            for net, classes in zip(self.nets, self.classes, strict=True)
        ]
        return found[0] if len(found) == 1 else torch.stack(found).mean(0)

    def _without_class(self, net: PixelModel, classes: int, levels: Tensor) -> Tensor:
        """A part's own log-probabilities of all levels, (B, C, h, w, K), its classes summed out."""
        if not classes:
            return net.predict(levels).logits
        each = [
            net.predict(levels, embedding_of(net, label, levels)).logits for label in range(classes)
        ]
        return sum_out(torch.stack(each), levels, self.config.least_posterior)


def classes_of_part(net: PixelModel) -> int:
    """Classes that are summed out of a net; 0 if it has no condition.

    Raises:
        ValueError: If it cannot be part of a mixture.
    """
    conditions = net.conditioner.conditions
    if isinstance(net, Mixture):
        raise ValueError("parts must be nets, got a mixture; give its parts")
    if net.conditioner.order is not None:
        raise ValueError(f"parts must have the raster order only, got a {net.name} with others")
    if not conditions:
        return 0
    if len(conditions) > 1 or not isinstance(conditions[0], ClassCondition):
        raise ValueError(
            "parts must have no condition but a class label, which is summed out, got "
            f"{net.name}, which takes {net.conditioner.describe()}"
        )
    return conditions[0].classes


def embedding_of(net: PixelModel, label: int, levels: Tensor) -> Embedding:
    """The embedding of one label for all images of a window (B, C, h, w) from the top left."""
    labels = torch.full((len(levels),), label, device=levels.device)
    return net.condition(labels, len(levels)).window((0, 0), *levels.shape[2:])


def sum_out(log_p: Tensor, levels: Tensor, least: float) -> Tensor:
    """The log of the mean of predictions given each class, by the classes' running posterior.

    Args:
        log_p: Log-probabilities of all levels given each class, (classes, B, C, H, W, K).
        levels: The images, (B, C, H, W), integers or floats.
        least: See `MixtureConfig.least_posterior`.

    Returns:
        Log-probabilities of all levels, (B, C, H, W, K).
    """
    evidence = past_evidence(log_p, levels)
    stays = remaining(evidence[:, :, 0, :, 0], least)
    evidence = evidence.masked_fill(~stays[:, :, None, :, None], -torch.inf)
    log_weights = evidence.log_softmax(0).to(log_p.dtype)
    return (log_weights.unsqueeze(-1) + log_p).logsumexp(0)


def past_evidence(log_p: Tensor, levels: Tensor) -> Tensor:
    """Log-probability given each class of all levels before a sub-pixel, (classes, B, C, H, W).

    Args:
        log_p: As in `sum_out`.
        levels: As in `sum_out`.
    """
    classes, count, *shape, _ = log_p.shape
    seen = log_p_of(log_p, levels.expand(log_p.shape[:-1])).double().flatten(0, 1)
    reached = to_sequence(seen).cumsum(1)[:, :-1]
    before = nn.functional.pad(reached, (1, 0))
    images = from_sequence(before, (shape[0], shape[1], shape[2]))
    return images.reshape(classes, count, *shape)


def log_p_of(log_p: Tensor, levels: Tensor) -> Tensor:
    """Log-probabilities of levels S among those of all levels, (S, K) -> S.

    Levels that are floats with a gradient, as an audit has them, get the slope between the levels
    next to them.
    """
    last = log_p.shape[-1] - 1
    here = levels.detach().long()

    def at(level: Tensor) -> Tensor:
        return log_p.gather(-1, level.unsqueeze(-1)).squeeze(-1)

    if not levels.requires_grad:
        return at(here)
    slope = at((here + 1).clamp(max=last)) - at((here - 1).clamp(min=0))
    return at(here) + (levels - levels.detach()) * slope


def remaining(evidence: Tensor, least: float) -> Tensor:
    """Which classes are still summed over in a row, boolean, (classes, B, H).

    Args:
        evidence: Log-probability given each class of the rows above, (classes, B, H).
        least: Posterior below which a class is left out, from then on; the likeliest stays.
    """
    stays = torch.ones_like(evidence[..., 0], dtype=torch.bool)
    rows = [stays]
    for above in evidence.detach().unbind(-1)[1:]:
        posterior = above.masked_fill(~stays, -torch.inf).softmax(0)
        stays = stays & ((posterior >= least) | (posterior == posterior.amax(0)))
        rows.append(stays)
    return torch.stack(rows, -1)


def mixture(models: Sequence[PixelModel], *, least_posterior: float = 1e-4) -> Mixture:
    """Make one model of several, or of one whose class is to be summed out.

    Args:
        models: Of the same images; those that take a class label have it summed out. They are
            copied. One that is much weaker than the others can make the average worse.
        least_posterior: Probability of a class given the rows above, below which it is left out of
            the sum for the rest of an image.

    Returns:
        The mixture, in evaluation mode.

    Raises:
        TypeError: If something is no model.
        ValueError: If there is none, they are of other images than the first, or of other number
            types, or one takes another condition than a class label.

    Example:
        >>> from nextpixel import build
        >>> nets = [build("pixelcnn", shape=(1, 4, 4), levels=2, features=f) for f in (4, 6)]
        >>> mixture(nets).log_prob(torch.zeros(3, 1, 4, 4, dtype=torch.int64)).shape
        torch.Size([3])
    """
    _check_alike(models)
    parts = tuple(Part(model.name, copy.deepcopy(model.config)) for model in models)
    config = MixtureConfig(parts=parts, least_posterior=least_posterior)
    with torch.random.fork_rng(devices=[]):
        made = Mixture(models[0].shape, models[0].levels, config)
    made.parts = nn.ModuleList(copy.deepcopy(model) for model in models)
    return made.eval()


def _check_alike(models: Sequence[PixelModel]) -> None:
    for model in models:
        if not isinstance(model, PixelModel):
            raise TypeError(f"models must be models, got {type(model).__name__}")
        classes_of_part(model)
        for what in ("shape", "levels", "dtype"):
            first, own = (_property(one, what) for one in (models[0], model))
            if own != first:
                raise ValueError(
                    f"models must have the same {what}, got a {models[0].name} with {first} and a "
                    f"{model.name} with {own}"
                )


def _property(model: PixelModel, what: str) -> object:
    return next(model.parameters()).dtype if what == "dtype" else getattr(model, what)
