"""A network as data: which feature map is made of which, and by what.

Layers lower themselves, beside their `forward`, to the few operations here. Maps are of three
kinds, by the time at which they are known in a scan:

- *row*: for a whole row before its first pixel is drawn (the vertical stack: rows above only);
- *pixel*: once everything before a pixel is drawn;
- *late*: once the pixel itself is drawn (the image, and what is made of it place by place).

A program knows no weights' meaning, no levels and no sampling; `run` carries it out on a whole
image at once, which is the reference that lowering is tested against.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nextpixel.nn.conditioner import NO_EMBEDDING, Embedding, Injection

ROW, PIXEL, LATE = 0, 1, 2
Tap = tuple[int, int]


@dataclass(frozen=True)
class Map:
    """A feature map.

    Attributes:
        number: Its place in the program.
        features: How many.
        known: ROW, PIXEL or LATE.
    """

    number: int
    features: int
    known: int


@dataclass(frozen=True, eq=False)
class Op:
    """One operation.

    Attributes:
        kind: "conv", "relu", "gate", "add", "affine" or "told".
        inputs: What it reads.
        output: What it makes.
        taps: Of a conv: rows and columns from the place that is computed.
        weight: Of a conv, (taps, inputs, outputs); of an affine, the factors.
        bias: Of a conv or affine, (outputs,).
        groups: Of a gate: color groups, each with its two halves side by side.
        term: Of a told: a constant (1, F, H, W), or what adds conditions.
        order: Of a told: which of the term's features each feature adds; None: its own.
    """

    kind: str
    inputs: tuple[Map, ...]
    output: Map
    taps: tuple[Tap, ...] = ()
    weight: Tensor | None = None
    bias: Tensor | None = None
    groups: int = 1
    term: Tensor | nn.Module | None = None
    order: Tensor | None = None


@dataclass
class Program:
    """Operations in the order in which they are carried out.

    Args:
        inputs: Planes of the image as `PixelModel.encode` gives it.
        groups: Color groups of the features.
    """

    inputs: int
    groups: int
    ops: list[Op] = field(default_factory=list)
    maps: list[Map] = field(default_factory=list)

    def __post_init__(self) -> None:
        """The image is the first map."""
        self.image = self._map(self.inputs, LATE)
        self.output = self.image

    def _map(self, features: int, known: int) -> Map:
        made = Map(len(self.maps), features, known)
        self.maps.append(made)
        return made

    def _add(self, op: Op) -> Map:
        self.ops.append(op)
        return op.output

    def conv(
        self, x: Map, weight: Tensor, taps: Sequence[Tap], bias: Tensor | None, *, known: int
    ) -> Map:
        """A convolution; `weight` (outputs, inputs, taps) in the order of `taps`."""
        outputs = weight.shape[0]
        made = self._map(outputs, known)
        bias = weight.new_zeros(outputs) if bias is None else bias
        kernel = weight.detach().permute(2, 1, 0).contiguous()
        return self._add(Op("conv", (x,), made, tuple(taps), kernel, bias.detach()))

    def relu(self, x: Map) -> Map:
        """The larger of x and 0."""
        return self._add(Op("relu", (x,), self._map(x.features, x.known)))

    def gate(self, x: Map, groups: int = 1) -> Map:
        """In each group, tanh of its first half times sigmoid of its second."""
        made = self._map(x.features // 2, x.known)
        return self._add(Op("gate", (x,), made, groups=groups))

    def add(self, x: Map, y: Map) -> Map:
        """X + y; one may be known for the row, the other not."""
        known = x.known if x.known == y.known else PIXEL
        return self._add(Op("add", (x, y), self._map(x.features, known)))

    def affine(self, x: Map, factor: Tensor, bias: Tensor) -> Map:
        """X times a factor plus a bias, feature by feature."""
        made = self._map(x.features, x.known)
        return self._add(Op("affine", (x,), made, weight=factor.detach(), bias=bias.detach()))

    def inject(self, x: Map, term: Tensor | nn.Module, order: Tensor | None = None) -> Map:
        """X + a constant map, or + what conditions say, its features in `order`."""
        if isinstance(term, Injection) and not len(term.layers):
            return x
        made = self._map(x.features, x.known)
        return self._add(Op("told", (x,), made, term=term, order=order))

    def pruned(self) -> "Program":
        """Itself without the operations that nothing reads."""
        read = {self.output.number}
        for op in reversed(self.ops):
            if op.output.number in read:
                read.update(x.number for x in op.inputs)
        self.ops = [op for op in self.ops if op.output.number in read]
        return self

    def run(self, image: Tensor, embedding: Embedding = NO_EMBEDDING) -> Tensor:
        """Carry it out on whole images, (B, inputs, H, W) -> (B, outputs, H, W)."""
        values = {self.image.number: image}
        for op in self.ops:
            values[op.output.number] = _run(op, [values[x.number] for x in op.inputs], embedding)
        return values[self.output.number]


def _run(op: Op, inputs: list[Tensor], embedding: Embedding) -> Tensor:
    x = inputs[0]
    if op.kind == "conv":
        return _conv(op, x)
    if op.kind == "relu":
        return F.relu(x)
    if op.kind == "add":
        return x + inputs[1]
    if op.kind == "gate":
        first, second = x.unflatten(1, (op.groups, 2, -1)).unbind(2)  # type: ignore[no-untyped-call]
        gated: Tensor = (torch.tanh(first) * torch.sigmoid(second)).flatten(1, 2)
        return gated
    if op.kind == "affine":
        assert op.weight is not None
        assert op.bias is not None
        return x * op.weight[:, None, None] + op.bias[:, None, None]
    return x + term_of(op, embedding, x)


def term_of(op: Op, embedding: Embedding, like: Tensor) -> Tensor:
    """What a "told" adds: (B or 1, F, H or 1, W or 1)."""
    if isinstance(op.term, Tensor):
        return op.term.detach()
    assert op.term is not None
    nothing = like.new_zeros(1, op.output.features, 1, 1)
    inject: Tensor = op.term(nothing, embedding)
    return inject if op.order is None else inject[:, op.order]


def _conv(op: Op, x: Tensor) -> Tensor:
    assert op.weight is not None
    assert op.bias is not None
    height, width = x.shape[2:]
    total = op.bias[:, None, None].expand(len(x), -1, height, width)
    for (row, column), weight in zip(op.taps, op.weight, strict=True):
        reach = max(abs(row), abs(column))
        padded = F.pad(x, (reach,) * 4)
        seen = padded[
            :, :, reach + row : reach + row + height, reach + column : reach + column + width
        ]
        total = total + torch.einsum("bihw,io->bohw", seen, weight)
    return total
