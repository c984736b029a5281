"""Executors of programs, step by step: a pixel costs a pixel.

`engine.cpu` is compiled, and gives the same bits on any CPU; `engine.torch_engine` is in torch, for
any dtype and for GPUs. Both go through `engine.lowering`, which compares a program with its model.
"""

from collections.abc import Callable

from torch import Tensor

OnRow = Callable[[int, Tensor], None]
"""Called with the number of rows done and the levels so far."""
