r"""Classes by Bayes: a class-conditional model gives p(image | class), and so p(class | image).

.. math:: p(c \mid x) = p(x \mid c)\, p(c) / \sum_{c'} p(x \mid c')\, p(c')

That the right class makes an image likelier than any other is the proof that conditioning works.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from nextpixel.likelihood import log_probs
from nextpixel.models import PixelModel
from nextpixel.nn import ClassCondition


def classify(
    model: PixelModel,
    levels: Tensor,
    *,
    prior: Tensor | None = None,
    batch_size: int = 100,
    on_progress: Callable[[int], None] | None = None,
) -> Tensor:
    """Probability of every class given each image.

    Args:
        model: A model whose only condition is a class label.
        levels: Integers 0..K-1, shape (N, C, H, W).
        prior: Probability of each class before the image is seen, shape (classes,). None: all
            equal.
        batch_size: Images a pass.
        on_progress: Called with the number of images scored so far, of N x classes.

    Returns:
        Probabilities, float64, shape (N, classes).

    Raises:
        TypeError: If the levels are no integers.
        ValueError: If the model is not class-conditional, or the images or prior do not fit it.
    """
    classes = classes_of(model)
    scores = torch.stack(
        [
            log_probs(
                model,
                levels,
                torch.full((len(levels),), label),
                batch_size=batch_size,
                on_progress=_shift(on_progress, label * len(levels)),
            )
            for label in range(classes)
        ],
        1,
    )
    if prior is not None:
        if prior.shape != (classes,) or not bool((prior >= 0).all()):
            raise ValueError(
                f"prior must be {classes} probabilities, got shape {tuple(prior.shape)}"
            )
        scores = scores + prior.double().log()
    return scores.softmax(1)


def classes_of(model: PixelModel) -> int:
    """Number of classes of a model whose only condition is a class label.

    Raises:
        ValueError: If it is no such model.
    """
    conditions = model.conditioner.conditions
    if len(conditions) == 1 and isinstance(conditions[0], ClassCondition):
        return conditions[0].classes
    raise ValueError(
        f"model must be conditional on a class label alone, got one given {model.given_in_words}"
    )


def _shift(tell: Callable[[int], None] | None, done: int) -> Callable[[int], None] | None:
    return None if tell is None else lambda count: tell(done + count)
