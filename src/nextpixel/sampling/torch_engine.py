"""The step engine in torch: readable, for any dtype, and for GPUs.

It computes each hidden value once, as `engine.py` does, with one torch operation for each operation
of the program; see `torch_scan.py`. On CUDA a row is recorded once as a graph, which is then
replayed for every row without waiting for the device.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from nextpixel.errors import NextPixelError
from nextpixel.heads import Distribution
from nextpixel.models import PixelModel
from nextpixel.nn import Given
from nextpixel.sampling.finite import check_predictions, check_weights
from nextpixel.sampling.scan import OnRow
from nextpixel.sampling.torch_scan import Scan

DEVICES = ("cpu", "cuda")
"""Where it is tested; others were never tried, and some lack the float64 that drawing needs."""


def fill(
    model: PixelModel,
    levels: Tensor,
    known: Tensor,
    uniforms: Tensor,
    given: Given,
    *,
    temperature: float,
    on_row: OnRow | None,
    use_graph: bool | None = None,
) -> tuple[Tensor, Tensor]:
    """Keep `levels` where `known`, draw the rest by `uniforms`; all of shape (B, C, H, W).

    Args:
        model: In evaluation mode, on the CPU or a CUDA device; its dtype is computed in.
        levels: Integers 0..K-1; where not `known`, of any value.
        known: Boolean.
        uniforms: In [0, 1), float64.
        given: Conditions, on the model's device.
        temperature: Above 0.
        on_row: Called with the number of rows done and the levels so far, on the CPU. Each call
            waits for the device.
        use_graph: Record a row as a CUDA graph; None: on a CUDA device.

    Returns:
        Levels, int64, shape (B, C, H, W), and the log-probability along the scan at temperature 1,
        nats, float64, shape (B,); both on the CPU.

    Raises:
        NotImplementedError: If this kind of model has no program.
        NextPixelError: If a weight or a prediction is no finite number, or on other devices.
    """
    device = next(model.parameters()).device
    check_device(device)
    check_weights(model)
    if use_graph is None:
        use_graph = device.type == "cuda"
    draw = partial(Distribution.draw, temperature=temperature)
    with torch.inference_mode():
        scan = Scan(model, given, len(levels), draw)
        advance = record(scan) if use_graph else scan.row
        scan.start(levels, known, uniforms)
        for row in range(model.shape[1]):
            advance()
            if on_row is not None:
                on_row(row + 1, scan.levels.cpu())
        filled, log_prob = scan.levels.cpu(), scan.log_prob.cpu()
    check_predictions(model, log_prob)
    return filled, log_prob


def check_device(device: torch.device) -> None:
    """Refuse devices that it is not made for.

    Raises:
        NextPixelError: Naming those it is made for.
    """
    if device.type not in DEVICES:
        raise NextPixelError(f"the step engine runs on {' or '.join(DEVICES)}, not on {device}")


def record(scan: Scan, *, warm_up: int = 2) -> Callable[[], None]:
    """Record a row of a scan as a CUDA graph.

    Warming up and recording write into the scan, which must be started afterwards.

    Args:
        scan: On a CUDA device.
        warm_up: Rows carried out before, in which libraries set up what cannot be recorded.

    Returns:
        A function that carries out the next row, and does not wait for the device.
    """
    device = scan.levels.device
    with torch.cuda.device(device):
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(warm_up):
                scan.clear()
                scan.row()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        scan.clear()
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            scan.row()
    return graph.replay
