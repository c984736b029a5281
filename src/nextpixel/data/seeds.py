"""Random generators named by several integers.

torch's CPU generator keeps only the low 32 bits of a seed, so `seed * 2**32 + epoch` would be
`epoch`. Keys are therefore mixed by NumPy's `SeedSequence`, the same in every version.
"""

import numpy as np
import torch


def rng_of(*keys: int) -> torch.Generator:
    """A fresh CPU generator that depends on all of `keys`, integers from 0, and their order.

    Example:
        >>> def draw(*keys: int) -> int:
        ...     return int(torch.randint(1000, (), generator=rng_of(*keys)))
        >>> draw(1, 2) == draw(1, 2), draw(1, 2) == draw(2, 1)
        (True, False)
    """
    seed = int(np.random.SeedSequence(keys).generate_state(1)[0])
    return torch.Generator().manual_seed(seed)
