"""What every test runs under: one thread, since two on a shared machine can be slower than one."""

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seed() -> None:
    """Models without a seed of their own are the same in every run, whatever ran before."""
    torch.manual_seed(0)
