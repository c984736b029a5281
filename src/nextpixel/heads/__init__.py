"""Heads: network outputs -> a distribution over the levels of every sub-pixel.

A head is an option of a model, by name. A new one is a file and a line here; one of another package
is made known by `register_head`.
"""

from nextpixel.errors import nearest
from nextpixel.heads.base import Distribution, Head, HeadOptions, split_colors
from nextpixel.heads.bernoulli import Bernoulli, BernoulliHead
from nextpixel.heads.categorical import Categorical, CategoricalHead
from nextpixel.heads.compiled import Choice, CompiledCDF, CompiledHead, Query, Spot
from nextpixel.heads.logistic import AnchoredLogisticHead, LogisticHead, LogisticMixture

__all__ = [
    "HEADS",
    "AnchoredLogisticHead",
    "Bernoulli",
    "BernoulliHead",
    "Categorical",
    "CategoricalHead",
    "Choice",
    "CompiledCDF",
    "CompiledHead",
    "Distribution",
    "Head",
    "HeadOptions",
    "LogisticHead",
    "LogisticMixture",
    "Query",
    "Spot",
    "make_head",
    "register_head",
    "split_colors",
]

HEADS: dict[str, type[Head]] = {
    kind.name: kind for kind in (BernoulliHead, CategoricalHead, LogisticHead, AnchoredLogisticHead)
}


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


def make_head(levels: int, colors: int, options: HeadOptions) -> Head:
    """The head that options ask for, for C colors of K levels.

    "auto" is one logit for two levels, a softmax for up to 256, a mixture of logistics for more and
    for coupled colors.

    Raises:
        ValueError: If there is no such head, or it is not for so many levels or for these colors.
    """
    coupled, name = options.colors == "coupled" and colors > 1, options.head
    if name == "auto":
        few = "bernoulli" if levels == 2 else "categorical"
        name = "logistic" if coupled or levels > MOST_BY_SOFTMAX else few
    if name not in HEADS:
        raise ValueError(f"head: there is no head {name!r}; {nearest(name, ['auto', *HEADS])}")
    head = HEADS[name].of(levels, colors, options)
    if coupled and not head.sees_colors:
        raise ValueError(
            f"colors must be dependent or independent with the head {name}: coupled colors share "
            "the components of a mixture, which it has none of"
        )
    return head


MOST_BY_SOFTMAX = 256
"""More levels are intensities, as a rule; for codes say head="categorical"."""
