"""Random generators named by a seed and by what they are for.

torch's CPU generator keeps only the low 32 bits of a seed, so `seed * 2**32 + epoch` would be
`epoch`. Keys are hashed instead: any two lists of keys give unrelated generators, on every machine.
"""

import hashlib

import torch


def rng_of(*keys: int | str) -> torch.Generator:
    """A fresh CPU generator that depends on every key and on their order.

    Example:
        >>> def draw(*keys: int | str) -> int:
        ...     return int(torch.randint(1000, (), generator=rng_of(*keys)))
        >>> draw(0, "epoch", 1) == draw(0, "epoch", 1), draw(0, "epoch", 1) == draw(1, "epoch", 0)
        (True, False)
    """
    digest = hashlib.sha256(repr(keys).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:4], "big"))
