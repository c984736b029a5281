"""Masks: which taps of a kernel come before its centre. Pure functions; they know no layer.

A kernel keeps only its rows down to the centre, since all rows below are in the future of every
pixel: a "7x7" kernel is stored and computed as 4x7. Features form `groups` equal blocks. With one
group the colors of a pixel are predicted independently of each other; with as many groups as
colors, group g holds what is known once color g is known, and the centre tap is masked group by
group.
"""

import torch
from torch import Tensor


def causal_mask(side: int, groups: int, *, sees_self: bool) -> Tensor:
    """Kernel taps that come before the centre in scan order.

    Args:
        side: Width of the kernel; odd. Its height is the (side + 1) / 2 rows down to the centre.
        groups: Color groups; at the centre, group o sees the groups before it.
        sees_self: Whether group o also sees group o there: mask B, else mask A.

    Returns: Boolean mask of shape (groups, groups, (side + 1) / 2, side), indexed [out, in, row,
        column].

    Raises:
        ValueError: If `side` is even or not positive.

    Example:
        >>> causal_mask(3, 1, sees_self=False)[0, 0].int().tolist()
        [[1, 1, 1], [1, 0, 0]]
        >>> causal_mask(1, 3, sees_self=True)[..., 0, 0].int().tolist()
        [[1, 0, 0], [1, 1, 0], [1, 1, 1]]

    References: van den Oord, Kalchbrenner, Kavukcuoglu (2016), Pixel Recurrent Neural Networks,
        section 3.4 and figure 2 (right): masks A and B. https://arxiv.org/abs/1601.06759
    """
    if side < 1 or side % 2 == 0:
        raise ValueError(f"side must be odd, so that the kernel has a centre, got {side}")
    reach = side // 2
    mask = torch.ones(groups, groups, reach + 1, side, dtype=torch.bool)
    mask[:, :, reach, reach:] = False
    seen = torch.ones(groups, groups).tril(0 if sees_self else -1)
    mask[:, :, reach, reach] = seen.bool()
    return mask


def spread(mask: Tensor, outputs: int, inputs: int) -> Tensor:
    """Repeat a mask over the features of its groups.

    Args:
        mask: Shape (groups, groups, rows, columns).
        outputs: Output features, a multiple of the number of groups.
        inputs: Input features, likewise.

    Returns:
        Mask of shape (outputs, inputs, rows, columns).

    Raises:
        ValueError: If a number of features cannot be split into the groups.
    """
    groups = mask.shape[0]
    for name, count in (("outputs", outputs), ("inputs", inputs)):
        if count % groups:
            raise ValueError(f"{name} must be a multiple of the {groups} color groups, got {count}")
    return mask.repeat_interleave(outputs // groups, 0).repeat_interleave(inputs // groups, 1)
