"""The step engine in torch: readable, for any dtype, and for GPUs.

It computes each hidden value once, as the compiled engine does, with one torch operation for each
operation of the program; see `torch_scan.py`. On CUDA a row is recorded once as a graph, which is
then replayed for every row without waiting for the device.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from nextpixel.engine import OnRow
from nextpixel.engine.lowering import check_predictions, probe
from nextpixel.engine.torch_scan import Scan
from nextpixel.errors import NextPixelError
from nextpixel.heads import Distribution
from nextpixel.heads.truncation import PLAIN, Truncation
from nextpixel.models import PixelModel
from nextpixel.nn import Embedding

DEVICES = ("cpu", "cuda")
"""Where it is tested; others were never tried, and some lack the float64 that drawing needs."""


class TorchEngine:
    """The engine for a model whose weights stay as they are; batches of one size share a recording.

    Args:
        model: In evaluation mode, on the CPU or a CUDA device; its dtype is computed in.
        truncation: How drawing departs from the model.
        use_graph: Record a row as a CUDA graph; None: on a CUDA device.

    Raises:
        NextPixelError: If a weight is no finite number, or on other devices.
        ValueError: If `truncation` is invalid.
    """

    def __init__(
        self, model: PixelModel, *, truncation: Truncation = PLAIN, use_graph: bool | None = None
    ) -> None:
        self.model, self.device = model, next(model.parameters()).device
        check_device(self.device)
        self.use_graph = self.device.type == "cuda" if use_graph is None else use_graph
        self.truncation = truncation.checked()
        self._ready: tuple[Scan, list[Callable[[], None]]] | None = None

    @torch.inference_mode()
    def fill(
        self,
        levels: Tensor,
        known: Tensor,
        uniforms: Tensor,
        embedding: Embedding,
        *,
        on_row: OnRow | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Keep `levels` where `known`, draw the rest by `uniforms`; all of shape (B, C, H, W).

        Args:
            levels: Integers 0..K-1; where not `known`, of any value.
            known: Boolean.
            uniforms: In [0, 1), float64.
            embedding: Conditions, on the model's device.
            on_row: Called with the number of rows done and the levels so far, on the CPU. Each
                call waits for the device.

        Returns:
            Levels, int64, shape (B, C, H, W), and the log-probability along the scan at
            temperature 1, nats, float64, shape (B,); both on the CPU.

        Raises:
            NotImplementedError: If this kind of model has no program.
            NextPixelError: If a prediction is no finite number, or the memory does not suffice.
        """
        scan, turns = self._prepare(embedding, len(levels))
        scan.start(levels, known, uniforms)
        for row in range(self.model.shape[1]):
            turns[row % len(turns)]()
            if on_row is not None:
                on_row(row + 1, scan.levels.cpu())
        filled, log_prob = (x.to("cpu", copy=True) for x in (scan.levels, scan.log_prob))
        check_predictions(self.model, log_prob)
        return filled, log_prob

    def _draw(self, pixel: Distribution, uniforms: Tensor) -> Tensor:
        return pixel.icdf(uniforms, self.truncation)

    def _prepare(self, embedding: Embedding, count: int) -> tuple[Scan, list[Callable[[], None]]]:
        """A scan of so many images, and what carries out its next row, for each turn."""
        if self._ready is not None and len(self._ready[0].levels) == count:
            self._ready[0].set_embedding(embedding)
            return self._ready
        self._ready = None  # the memory of one is free before the next is made
        if not type(self.model).__module__.startswith("nextpixel."):
            check_steps(self.model)
        scan = Scan(self.model, embedding, count, self._draw)
        carry_out = record if self.use_graph else without_a_graph
        self._ready = scan, [carry_out(scan, turn) for turn in range(scan.turns)]
        return self._ready


@torch.inference_mode()
def check_steps(model: PixelModel) -> None:
    """Compare the steps of a model of another package with the model, on random images.

    Raises:
        NextPixelError: If they differ, as where its program names a wrong phase.
    """
    levels, embedding, log_prob = probe(model)
    scan = Scan(model, embedding, len(levels), Distribution.icdf)
    scan.start(levels, torch.ones_like(levels).bool(), torch.zeros_like(scan.uniforms))
    for row in range(model.shape[1]):
        scan.row(row % scan.turns)
    expected = log_prob.double().flatten(1).sum(1)
    if not torch.allclose(scan.log_prob, expected, rtol=1e-3, atol=2e-2):
        raise NextPixelError(
            f"steps of {type(model).__name__} do not compute what the model does: of random images "
            f"they say {scan.log_prob.tolist()} nats, the model {expected.tolist()}"
        )


def check_device(device: torch.device) -> None:
    """Refuse devices that it is not made for.

    Raises:
        NextPixelError: Naming those it is made for.
    """
    if device.type not in DEVICES:
        raise NextPixelError(f"the step engine runs on {' or '.join(DEVICES)}, not on {device}")


def without_a_graph(scan: Scan, turn: int = 0) -> Callable[[], None]:
    """Carries out the next row of a scan, of those that have a turn, operation by operation."""
    return lambda: scan.row(turn)


def record(scan: Scan, turn: int = 0, *, warm_up: int = 2) -> Callable[[], None]:
    """Record a row of a scan as a CUDA graph, of those that have a turn.

    Warming up and recording write into the scan, which must be started afterwards.

    Args:
        scan: On a CUDA device.
        turn: See `Scan.row`.
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
                scan.row(turn)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        scan.clear()
        recording = torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local")
        with nothing_collected(), recording:
            scan.row(turn)
    return graph.replay


@contextmanager
def nothing_collected() -> Iterator[None]:
    """No garbage collection: an older graph that is freed meanwhile would spoil a recording."""
    gc.collect()
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()
