r"""Classes by Bayes: a class-conditional model gives p(image | class), and so p(class | image).

.. math:: p(c \mid x) = p(x \mid c)\, p(c) / \sum_{c'} p(x \mid c')\, p(c')

That the right class makes an image likelier than any other is the proof that conditioning works.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from nextpixel.likelihood import check_images, log_probs
from nextpixel.models import PixelModel
from nextpixel.models.base import check_model
from nextpixel.nn import ClassCondition


def classify(
    model: PixelModel,
    levels: Tensor,
    *,
    prior: Tensor | None = None,
    batch_size: int = 100,
    on_progress: Callable[[int], None] | None = None,
) -> Tensor:
    """Probability of every class given each image; processes share the images as in `evaluate`.

    Args:
        model: A model whose only condition is a class label.
        levels: Integers 0..K-1, shape (N, C, H, W).
        prior: Weight of each class before the image is seen, shape (classes,), such as counts or
            probabilities. None: all equal.
        batch_size: Images a pass.
        on_progress: Called with the number of images scored so far, of N x classes.

    Returns:
        Probabilities, float64, shape (N, classes).

    Raises:
        TypeError: If the levels are no integers, or the prior is no tensor.
        ValueError: If the model is not class-conditional, or the images or prior do not fit it.
    """
    check_model(model)
    check_images(levels)
    classes = classes_of(model)
    _check_prior(prior, classes)
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
        "model must be conditional on a class label alone, got one given "
        f"{model.condition_in_words}"
    )


def _check_prior(prior: Tensor | None, classes: int) -> None:
    if prior is None:
        return
    if not isinstance(prior, Tensor):
        raise TypeError(f"prior must be a tensor of {classes} weights, got {type(prior).__name__}")
    if prior.shape != (classes,):
        raise ValueError(f"prior must have shape ({classes},), got {tuple(prior.shape)}")
    if not bool((prior.isfinite() & (prior >= 0)).all()) or not bool(prior.any()):
        raise ValueError(f"prior must be weights of at least 0, not all 0, got {prior.tolist()}")


def _shift(tell: Callable[[int], None] | None, done: int) -> Callable[[int], None] | None:
    return None if tell is None else lambda count: tell(done + count)
