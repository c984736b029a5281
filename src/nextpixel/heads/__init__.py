"""Heads: network outputs -> a distribution over the levels of every sub-pixel.

A head is an option of a model, by name. A new one is a file and a line here; one of another package
is made known by `register_head`.
"""

from nextpixel.errors import nearest
from nextpixel.heads.base import Distribution, Head, split_colors
from nextpixel.heads.bernoulli import Bernoulli, BernoulliHead
from nextpixel.heads.categorical import Categorical, CategoricalHead
from nextpixel.heads.compiled import Choice, CompiledHead, Spot

__all__ = [
    "HEADS",
    "Bernoulli",
    "BernoulliHead",
    "Categorical",
    "CategoricalHead",
    "Choice",
    "CompiledHead",
    "Distribution",
    "Head",
    "Spot",
    "make_head",
    "register_head",
    "split_colors",
]

HEADS: dict[str, type[Head]] = {kind.name: kind for kind in (BernoulliHead, CategoricalHead)}


def register_head(kind: type[Head]) -> type[Head]:
    """Make a head known by its name, as an option of models; also as a decorator.

    Raises:
        TypeError: If it is no class of heads.
        ValueError: If another class has its name.
    """
    if not (isinstance(kind, type) and issubclass(kind, Head) and isinstance(kind.name, str)):
        raise TypeError(f"a head must be a subclass of Head with a name, got {kind!r}")
    if HEADS.setdefault(kind.name, kind) is not kind:
        raise ValueError(f"there is a head {kind.name!r} already: {HEADS[kind.name].__name__}")
    return kind


def make_head(name: str, levels: int) -> Head:
    """A head for K levels.

    Args:
        name: Of a registered head, or "auto": one logit for two levels, a softmax for more.
        levels: K.

    Raises:
        ValueError: If there is no such head, or it is not for so many levels.
    """
    if name == "auto":
        name = "bernoulli" if levels == 2 else "categorical"
    if name not in HEADS:
        raise ValueError(f"head: there is no head {name!r}; {nearest(name, ['auto', *HEADS])}")
    return HEADS[name](levels)
