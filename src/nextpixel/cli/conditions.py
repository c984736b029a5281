"""What a conditional model is given: labels from the command line, codes from images."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nextpixel.cli.inputs import data_of
from nextpixel.likelihood import evaluation_mode
from nextpixel.models import PixelModel
from nextpixel.nn import ClassCondition, Value


def condition_for(
    folder: str, model: PixelModel, count: int, labels: Sequence[int] | None = None
) -> Value | None:
    """The condition of `count` images to draw.

    Args:
        folder: The model's folder; of an auto-encoder, the codes are those of the first test images
            of the data set it was trained on.
        model: The model.
        count: How many images.
        labels: Labels to go through in turn; None goes through all classes.

    Returns:
        One entry an image, or None for a model that takes no condition.

    Raises:
        ValueError: If labels are given to a model that takes none, or the model takes what the
            command line cannot give.
    """
    if codes_its_images(model):
        refuse_labels(labels)
        return codes_of(model, data_of(folder, model, None).test.levels[:count], count)
    return labels_for(model, count, labels)


def own_labels(model: PixelModel, labels: Sequence[int] | None) -> Sequence[int] | None:
    """The labels that images came with, for a model that takes such labels."""
    conditions = model.conditioner.conditions
    if not labels or not conditions or not isinstance(conditions[0], ClassCondition):
        return None
    return labels if max(labels) < conditions[0].classes else None


def labels_for(model: PixelModel, count: int, labels: Sequence[int] | None) -> Value | None:
    """`count` labels, going through the given ones, or all classes, in turn.

    Raises:
        ValueError: As `condition_for`.
    """
    conditions = model.conditioner.conditions
    if not conditions:
        refuse_labels(labels)
        return None
    if len(conditions) > 1 or not isinstance(conditions[0], ClassCondition):
        raise ValueError(
            f"model takes {model.conditioner.describe()}, which only the Python functions can give"
        )
    chosen = list(labels) if labels else list(range(conditions[0].classes))
    _check_labels(chosen, conditions[0])
    return torch.tensor([chosen[image % len(chosen)] for image in range(count)])


def _check_labels(labels: Sequence[int], condition: ClassCondition) -> None:
    least, most = -1 if condition.dropout else 0, condition.classes - 1
    wrong = [label for label in labels if not least <= label <= most]
    if wrong:
        unknown = ", or -1 for unknown" if condition.dropout else ""
        raise ValueError(f"label must be 0..{most}{unknown}, got {wrong[0]}")


def codes_of(model: PixelModel, levels: Tensor, count: int) -> Value | None:
    """Codes of images, gone through in turn until there are `count`."""
    with evaluation_mode(model), torch.inference_mode():
        images = levels[torch.arange(count) % len(levels)]
        return model.own_condition(images.to(next(model.parameters()).device))


def codes_its_images(model: PixelModel) -> bool:
    """Whether a model makes its condition of images by itself."""
    device = next(model.parameters()).device
    blank = torch.zeros(1, *model.shape, dtype=torch.int64, device=device)
    return model.own_condition(blank) is not None


def refuse_labels(labels: Sequence[int] | None) -> None:
    """Refuse labels for a model that takes none.

    Raises:
        ValueError: If there are any.
    """
    if labels:
        raise ValueError("label must be left out: the model takes no class labels")
