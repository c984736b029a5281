"""What every test runs under: one thread, since two on a shared machine can be slower than one."""

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _alike() -> None:
    """Each test begins with one thread and torch's generator seeded, whatever ran before."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
