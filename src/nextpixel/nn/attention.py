"""Attention over the pixels that come before, all of an image at once, by torch's own kernel.

References:
    Chen, Mishra, Rohaninejad, Abbeel (2018), PixelSNAIL, section 2. https://arxiv.org/abs/1712.09763
    Vaswani et al. (2017), Attention Is All You Need, eq. 1. https://arxiv.org/abs/1706.03762
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from nextpixel.runtime.device import require

MUCH = 2**28
"""Bytes from which on it is asked whether there is so much memory."""


def attend(query: Tensor, key: Tensor, value: Tensor, *, inclusive: bool) -> Tensor:
    """Each token's mean of the values of those before it, by its query and their keys.

    Args:
        query: (B, heads, N, D).
        key: Of the same shape.
        value: (B, heads, N, V).
        inclusive: Whether a token attends to itself as well. If not, the first has nothing to
            attend to, and gets zeros.

    Returns:
        (B, heads, N, V).
    """
    if inclusive:
        return _attend(query, key, value)
    query, key, value = query[:, :, 1:], key[:, :, :-1], value[:, :, :-1]
    if not query.shape[2]:
        return F.pad(value, (0, 0, 1, 0))
    return F.pad(_attend(query, key, value), (0, 0, 1, 0))


def _attend(query: Tensor, key: Tensor, value: Tensor, seen: Tensor | None = None) -> Tensor:
    """Torch's kernel, on heads of one size: only then it keeps no table of all pairs."""
    count, size = value.shape[3], max(query.shape[3], value.shape[3])
    scale = 1 / math.sqrt(query.shape[3])
    query, key, value = (F.pad(x, (0, size - x.shape[3])) for x in (query, key, value))
    made = F.scaled_dot_product_attention(
        query, key, value, attn_mask=seen, is_causal=seen is None, scale=scale
    )
    return made[..., :count]


def attend_pooled(query: Tensor, key: Tensor, value: Tensor, *, pool: int) -> Tensor:
    """The same where a key and a value stand for `pool` tokens in turn, once all are known.

    The first tokens have nothing to attend to, and get zeros. Its memory grows with the square of
    the number of tokens: see `pooled_bytes`.

    Args:
        query: (B, heads, N, D).
        key: (B, heads, N // pool, D).
        value: (B, heads, N // pool, V).
        pool: How many tokens.

    Returns:
        (B, heads, N, V).

    Raises:
        NextPixelError: If there is too little memory, with what is needed.
    """
    count, others = query.shape[2], key.shape[2]
    needed = pooled_bytes(query.shape[0] * query.shape[1], count, pool, query.element_size())
    if needed > MUCH:
        what = f"attention of {count} pixels to {others}"
        require(needed, what, "make the batch or the images smaller", query.device)
    number = torch.arange(pool, count, device=query.device)
    seen = torch.arange(others, device=query.device) < (number // pool)[:, None]
    made = _attend(query[:, :, pool:], key, value, seen)
    return F.pad(made, (0, 0, min(pool, count), 0))


def pooled_bytes(heads: int, tokens: int, pool: int, size: int) -> int:
    """Bytes of the weights of pooled attention, and of who attends to whom.

    Example:
        >>> pooled_bytes(16, 784, 2, 4)  # 16 images, one head, float32
        19976320
    """
    return (heads * size + 1) * tokens * (tokens // pool)


def to_tokens(x: Tensor, heads: int) -> Tensor:
    """(B, heads * D, H, W) -> (B, heads, H * W, D), pixels in the order of the scan."""
    return torch.unflatten(x.flatten(2), 1, (heads, -1)).transpose(2, 3)


def to_map(x: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, heads, H * W, D) -> (B, heads * D, H, W)."""
    return torch.unflatten(x.transpose(2, 3).flatten(1, 2), 2, size)
