"""What every test runs under: one thread, since two on a shared machine can be slower than one."""

import torch

torch.set_num_threads(1)
