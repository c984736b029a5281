"""What every operation of a program is: one class in one file.

An operation says when its output is known, computes whole images (`reference`: what the others are
tested against), and makes one step of a scan, by torch (`step`) and by a compiled function
(`compiled`), which gets a `Call`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

ROW, PIXEL, LATE = 0, 1, 2
"""Phases of a scan: when a map is known. See `nextpixel.program`."""

Tap = tuple[int, int]
"""Row and column of what a convolution reads, from the place that is computed."""

Table = NDArray[np.int64]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Map:
    """A feature map.

    Attributes:
        number: Its place in the program.
        features: How many.
        phase: ROW, PIXEL or LATE: when it is known.
        stride: Rows and columns of the image that one of its own stands for: 1, 2, 4, ...
        backward: Whether a row of it is made from right to left, one column after the other.
    """

    number: int
    features: int
    phase: int
    stride: int = 1
    backward: bool = False


@dataclass(frozen=True, eq=False)
class Part:
    """Taps of a convolution that are read together, as one matrix.

    Attributes:
        taps: Rows and columns from the place that is computed.
        weight: Shape (taps * inputs, outputs).
    """

    taps: tuple[Tap, ...]
    weight: Tensor


class View(Protocol):
    """The places of a scan at which a torch step computes, with B images and N columns.

    Attributes:
        parts: Of a convolution: what is summed now.
        start: Whether a convolution sets its output, or adds to it.
    """

    parts: tuple[Part, ...]
    start: bool

    @property
    def inputs(self) -> list[Tensor]:
        """What the operation reads there, each (B, N, features)."""

    @property
    def target(self) -> Tensor:
        """Where its output goes, (B, N, features)."""

    @property
    def features(self) -> slice:
        """Which features of the output are computed: all, or those of one color group."""

    @property
    def term(self) -> Tensor:
        """What conditions add there, (B or 1, N, features)."""

    @property
    def row(self) -> Tensor:
        """The number of the row, an integer tensor (1,)."""

    def seen(self, taps: tuple[Tap, ...]) -> Tensor:
        """What taps see of the first input there, (B, N, taps * inputs)."""

    @property
    def column(self) -> int:
        """The number of the first column."""

    def whole(self, number: int) -> Tensor:
        """All rows that are kept of an input, (B, rows, W, features); the last is this one."""


class Call(NamedTuple):
    """What a compiled step gets: some places, and where its inputs and its output lie.

    Attributes:
        state: All maps of all images.
        weights: Of all operations; this one's begin at `weight`.
        bias: Of all operations; this one's begin at `constant`.
        terms: What conditions add; this one's begin at `term`.
        begins: Where each span begins, from a place of the source.
        lengths: Floats of each span.
        first: The first span of this operation.
        spans: How many spans it has.
        inputs: Floats that it reads at a place.
        start: 1 if it sets its output, 0 if it adds to it.
        extra: Numbers of its own, such as the groups of a gate.
        places: How many; place n lies n steps further in each map.
        low: The first feature of the output that is computed.
        high: The feature after the last.
        features: Features of the output, with padding.
        row: Of the image.
        column: Of the first place.
        width: Columns of the output.
    """

    state: Floats
    weights: Floats
    bias: Floats
    terms: Floats
    begins: Table
    lengths: Table
    first: int
    spans: int
    inputs: int
    weight: int
    constant: int
    start: int
    extra: tuple[int, int, int, int]
    places: int
    source: int
    source_step: int
    other: int
    other_step: int
    third: int
    third_step: int
    target: int
    target_step: int
    term: int
    term_step: int
    low: int
    high: int
    features: int
    row: int
    column: int
    width: int


class Op(ABC):
    """One operation.

    Args:
        inputs: Maps that it reads, one to three.
        output: The map that it makes.

    Attributes:
        name: What it is called in tables and messages.
        compiled: Its step as a compiled function of a `Call`; None: it runs by torch only.
        extra: Numbers for `Call.extra`, at most four.
        taps: Where it reads its first input, from the place that is computed; none: there.
        whole: Numbers of the inputs that it reads at all places of the past.
        weight: Numbers that `Call.weights` holds for it.
        bias: Numbers that `Call.bias` holds for it.
        is_row_constant: Whether what it applies to its first input is known before the row, so that
            it may be applied to a convolution's first sum.
    """

    name: ClassVar[str]
    compiled: ClassVar[Callable[..., Any] | None] = None
    extra: tuple[int, ...] = ()
    taps: tuple[Tap, ...] = ()
    whole: ClassVar[tuple[int, ...]] = ()
    weight: Tensor | None = None
    bias: Tensor | None = None
    is_row_constant: bool = False

    def __init__(self, inputs: tuple[Map, ...], output: Map) -> None:
        self.inputs, self.output = inputs, output

    @staticmethod
    def shape(*inputs: Map) -> tuple[int, int]:
        """Features and phase of the output, from the maps that are read."""
        return inputs[0].features, inputs[0].phase

    def extra_inputs(self, embedding: object, image: Tensor) -> tuple[Tensor, ...]:
        """What `reference` reads in addition to its inputs, of an embedding of conditions."""
        del embedding, image
        return ()

    @abstractmethod
    def reference(self, *inputs: Tensor) -> Tensor:
        """The operation on whole images, (B, features, H, W) each."""

    @abstractmethod
    def step(self, view: View) -> None:
        """The operation at the places of a view, in torch; nothing may depend on a value."""

    def parts(self, sources: tuple[int, ...], target: int) -> tuple[tuple[int, ...], int]:
        """Blocks that inputs and output are padded by, from what others ask of these maps."""
        most = max(*sources, target)
        return (most,) * len(sources), most


def seen_at(x: Tensor, tap: Tap, stride: int = 1) -> Tensor:
    """What a tap sees of whole images (B, F, H, W) from each place; outside are zeros."""
    (row, column), (height, width) = tap, x.shape[2:]
    reach = max(abs(row), abs(column))
    rows = slice(reach + row, reach + row + height, stride)
    columns = slice(reach + column, reach + column + width, stride)
    return F.pad(x, (reach,) * 4)[:, :, rows, columns]
