"""Images as JSON: a shape, the number of levels, and the levels as base64 of bytes in C order."""

import base64
import binascii
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nextpixel.playground.problems import Refusal

Bytes = NDArray[np.uint8]


def encode(array: NDArray[Any]) -> str:
    """Base64 of an array's bytes in C order.

    Example:
        >>> encode(np.array([0, 1, 255], np.uint8))
        'AAH/'
    """
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")


def decode(data: str, shape: Sequence[int], below: int, field: str) -> Bytes:
    """The inverse of `encode` for bytes.

    Args:
        data: Base64.
        shape: Of the array.
        below: What every byte must be below.
        field: How errors name it.

    Raises:
        Refusal: If it is no base64, of another length, or a byte is too large.

    Example:
        >>> decode("AAH/", (3,), 256, "data").tolist()
        [0, 1, 255]
    """
    try:
        raw = base64.b64decode(data.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise Refusal(f"{field} must be base64, got other characters", field) from error
    if len(raw) != math.prod(shape):
        wanted = " x ".join(map(str, shape))
        raise Refusal(f"{field} must be {wanted} bytes, got {len(raw)}", field)
    array = np.frombuffer(raw, np.uint8).reshape(tuple(shape))
    if array.size and int(array.max()) >= below:
        raise Refusal(f"{field} must be 0..{below - 1}, got {int(array.max())}", field)
    return array


def pack(levels: NDArray[Any], level_count: int) -> dict[str, Any]:
    """One image (C, H, W) or several (N, C, H, W) as JSON."""
    data = encode(levels.astype(np.uint8))
    return {"shape": list(levels.shape), "levels": level_count, "data": data}
