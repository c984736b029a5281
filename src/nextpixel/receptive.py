"""Receptive fields of all pixels at once, from the program of a network.

Whether one place of a map depends on another is a matter of which weights are zero, not of how
large the others are. So sets of pixels go through the program instead of numbers: an operation
gives each place the union of the sets that it reads there. That takes one pass where derivatives
(`nextpixel.audit`) take one for each pixel, and finds the same: what the network can see.

Features of a map that have the same sets at all places are one kind, and there are few kinds: one
where there is one color group. Which features an operation reads is seen from its weights, those
that are not zero, or, where it has none, from where a NaN comes through.

What it does not know: how large a dependence is, and dependences of other than a program's doing,
but for those of a head, which may see the earlier colors of its own pixel.
"""

import copy
import math
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from nextpixel.audit import redraw
from nextpixel.engine.lowering import lowered
from nextpixel.models import PixelModel
from nextpixel.models.mixtures import Mixture
from nextpixel.program import Map, Program
from nextpixel.program.ops import Attend, Cell, Conv, Inject, LocalConv, Op, Tap, Up

Sets = NDArray[np.uint8]
"""For each place of a map a set of pixels, as bits: (h, w, bytes)."""
Links = NDArray[np.bool_]
"""Which features of an input each feature of an output reads, (inputs, outputs)."""
Mover: TypeAlias = Callable[[Sets], Sets]
"""From the sets of an input to those that an output reads at each of its places."""


class Kinds:
    """What the features of a map depend on.

    Args:
        of: The kind of each feature, (F,).
        sets: Of each kind.
    """

    def __init__(self, of: NDArray[np.int64], sets: list[Sets]) -> None:
        self.of, self.sets = of, sets

    def read(self, links: Links) -> NDArray[np.bool_]:
        """Which kinds each feature of an output reads, (kinds, outputs)."""
        rows = [links[self.of == kind].any(0) for kind in range(len(self.sets))]
        return np.stack(rows)

    def union(self, features: slice | NDArray[np.int64]) -> Sets:
        """What any of some features depends on."""
        found = [self.sets[kind] for kind in np.unique(self.of[features])]
        return _union(found, found[0])


def receptive_fields(model: PixelModel, color: int | None = None) -> NDArray[np.bool_]:
    """For each pixel, the pixels that the prediction there depends on.

    Args:
        model: The model; its weights, dtype and mode are left as they are.
        color: Whose prediction; None: the last color's.

    Returns:
        Boolean, (H * W, H * W): row i is the field of pixel i, of any of its colors.

    Raises:
        NotImplementedError: If this kind of model has no program.

    Example:
        >>> import nextpixel as npx
        >>> model = npx.build("pixelcnn", shape=(1, 1, 4), levels=2, features=2, layers=1, side=3)
        >>> receptive_fields(model).astype(int).tolist()
        [[0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]
    """
    color = model.colors - 1 if color is None else color
    if isinstance(model, Mixture):
        return _of_mixture(model, color)
    height, width = model.shape[1:]
    twin = copy.deepcopy(model).cpu().double().eval().requires_grad_(requires_grad=False)
    redraw(twin, torch.Generator().manual_seed(0))
    outputs = _carry(twin, lowered(twin))
    own = slice(None) if model.head.sees_colors else _outputs_of(color, model)
    fields = _booleans(outputs.union(own), height * width)
    if model.head.sees_colors and color:
        np.fill_diagonal(fields, val=True)
    return fields


def scan_indices(model: PixelModel) -> NDArray[np.int64] | None:
    """When each pixel is visited, (H * W,), in the model's own order; None: the raster order."""
    order = model.read_order(None)
    return None if order is None or not order.ndim else order.flatten().numpy()


def _of_mixture(model: Mixture, color: int) -> NDArray[np.bool_]:
    """A class is the likelier for all that was seen; without classes it is what the nets see."""
    size = math.prod(model.shape[1:])
    if any(model.classes):
        return np.tri(size, size, 0 if color else -1, dtype=np.bool_)
    fields = [receptive_fields(net, color) for net in model.nets]
    found: NDArray[np.bool_] = np.logical_or.reduce(fields)
    return found


def _outputs_of(color: int, model: PixelModel) -> slice:
    """The output planes that are parameters of a color."""
    each = model.outputs // model.colors
    return slice(color * each, (color + 1) * each)


def _carry(model: PixelModel, program: Program) -> Kinds:
    """The sets of the program's output; as `Program.run` does with numbers."""
    kinds = {program.image.number: _image(model)}
    indices = _indices(model)
    for body in program.bodies():
        loops = any(x.number not in kinds for op in body for x in op.inputs)
        for op in body if loops else ():
            kinds[op.output.number] = _nothing(op.output, model)
        while True:
            before = [kinds[op.output.number] for op in body if loops]
            for op in body:
                inputs = [kinds[x.number] for x in op.inputs]
                kinds[op.output.number] = _made(op, inputs, indices)
            after = [kinds[op.output.number] for op in body]
            if not loops or all(map(_same, before, after)):
                break
    return kinds[program.output.number]


def _image(model: PixelModel) -> Kinds:
    """Of a color's planes, that of ones is the same for all images."""
    height, width = model.shape[1:]
    here = np.packbits(np.eye(height * width, dtype=np.bool_), axis=1).reshape(height, width, -1)
    planes = model.inputs // model.colors
    of = np.array([int(model.edge and plane % planes == 1) for plane in range(model.inputs)])
    return Kinds(of, [here, np.zeros_like(here)])


def _nothing(made: Map, model: PixelModel) -> Kinds:
    height, width = (side // made.stride for side in model.shape[1:])
    size = (math.prod(model.shape[1:]) + 7) // 8
    return Kinds(np.zeros(made.features, np.int64), [np.zeros((height, width, size), np.uint8)])


def _indices(model: PixelModel) -> NDArray[np.int64]:
    """When each place is visited, for operations that ask, (H, W)."""
    indices, (height, width) = scan_indices(model), model.shape[1:]
    return (np.arange(height * width) if indices is None else indices).reshape(height, width)


def _made(op: Op, inputs: list[Kinds], indices: NDArray[np.int64]) -> Kinds:
    """What an operation gives its output."""
    if isinstance(op, Inject):
        return inputs[0]
    if isinstance(op, Attend):
        return _attended(op, inputs)
    readers: list[tuple[int, Links, Mover]]
    if isinstance(op, Conv):
        readers = [(0, links, reader) for links, reader in _taps(op, indices)]
    elif isinstance(op, Cell):
        readers = _cell(op)
    else:
        readers = [(n, _through(op, n), _here) for n in range(len(inputs))]
    return _merged([(inputs[n].read(links), inputs[n], reader) for n, links, reader in readers])


def _merged(readers: list[tuple[Links, Kinds, Mover]]) -> Kinds:
    """One kind for all features that read the same, with the union of what they read."""
    patterns = np.concatenate([read for read, _, _ in readers])
    unique, of = np.unique(patterns, axis=1, return_inverse=True)
    sources = [
        (kinds.sets[k], reader) for _, kinds, reader in readers for k in range(len(kinds.sets))
    ]
    moved: dict[int, Sets] = {}

    def moved_set(number: int) -> Sets:
        if number not in moved:
            source, reader = sources[number]
            moved[number] = reader(source)
        return moved[number]

    empty = np.zeros_like(moved_set(0))
    sets = [
        _union([moved_set(int(n)) for n in np.flatnonzero(column)], empty) for column in unique.T
    ]
    return Kinds(of.reshape(-1), sets)


def _union(sets: list[Sets], empty: Sets) -> Sets:
    return np.bitwise_or.reduce(sets) if sets else empty


def _here(sets: Sets) -> Sets:
    return sets


def _through(op: Op, number: int) -> Links:
    """Where a NaN in a feature of an input comes through, at a place."""
    count = op.inputs[number].features
    inputs = [torch.zeros(count, x.features, 1, 1, dtype=torch.float64) for x in op.inputs]
    inputs[number][:, :, 0, 0].fill_diagonal_(math.nan)
    found: NDArray[np.bool_] = op.reference(*inputs)[:, :, 0, 0].isnan().numpy()
    return found


def _taps(op: Conv, indices: NDArray[np.int64]) -> Iterator[tuple[Links, Mover]]:
    """For each tap of a convolution which features are read there, and how sets are moved."""
    for number, tap in enumerate(op.taps):
        yield (op.weight[number] != 0).numpy(), _mover(op, number, tap, indices)


def _mover(op: Conv, number: int, tap: Tap, indices: NDArray[np.int64]) -> Mover:
    if isinstance(op, Up):
        return lambda sets: _spread(sets, tap, op.parities[number])
    if isinstance(op, LocalConv):
        return lambda sets: _seen(sets, tap) * _before(indices, tap, op.sees_self)[:, :, None]
    return lambda sets: _seen(sets, tap)[:: op.stride, :: op.stride]


def _seen(sets: NDArray[Any], tap: Tap) -> NDArray[Any]:
    """What a tap sees from each place; outside is nothing. As `program.ops.base.seen_at`."""
    made, sides = np.zeros_like(sets), sets.shape[:2]
    if all(abs(step) < side for step, side in zip(tap, sides, strict=True)):
        (row, column), (height, width) = tap, sides
        to = _within(-row, height), _within(-column, width)
        made[to] = sets[_within(row, height), _within(column, width)]
    return made


def _within(step: int, side: int) -> slice:
    """The places of a side from which a step the other way stays within."""
    return slice(max(0, step), side - max(0, -step))


def _before(indices: NDArray[np.int64], tap: Tap, sees_self: bool) -> NDArray[np.bool_]:  # noqa: FBT001
    """Whether the order has visited, at each place, what a tap lies on."""
    seen = _seen(indices + 1, tap)
    found: NDArray[np.bool_] = (seen > 0) & (seen <= indices + int(sees_self))
    return found


def _spread(sets: Sets, tap: Tap, parity: tuple[int, int]) -> Sets:
    """What an element of a transposed convolution gives the places of a parity."""
    height, width, size = sets.shape
    made = np.zeros((2 * height, 2 * width, size), np.uint8)
    made[parity[0] :: 2, parity[1] :: 2] = _seen(sets, tap)
    return made


def _cell(op: Cell) -> list[tuple[int, Links, Mover]]:
    """The cell before, and the gates here; rows above the first have empty cells."""
    (before,), size = op.taps, op.output.features
    everywhere = Cell(op.inputs, op.output, before, op.groups)

    def below(sets: Sets) -> Sets:
        made = sets.copy()
        made[: op.first_row] = 0
        return made

    cells = np.eye(size, dtype=np.bool_)
    return [
        (0, cells, lambda sets: below(_seen(sets, before))),
        (1, _through(everywhere, 1), below),
    ]


def _attended(op: Attend, inputs: list[Kinds]) -> Kinds:
    """Each head of each color group: its query here, and keys and values of all that is seen.

    Where one token is seen, its weight is 1 whatever query and key are.
    """
    parts = op.heads * op.groups
    blocks = [[kinds.union(part) for part in _split(kinds, parts)] for kinds in inputs]
    sets = [_attended_by(op, blocks, part) for part in range(parts)]
    return Kinds(np.repeat(np.arange(parts), op.output.features // parts), sets)


def _split(kinds: Kinds, parts: int) -> list[NDArray[np.int64]]:
    return np.split(np.arange(len(kinds.of)), parts)


def _attended_by(op: Attend, blocks: list[list[Sets]], part: int) -> Sets:
    group, head = divmod(part, op.heads)
    shape = blocks[0][0].shape
    query, keys, values = ([one.reshape(-1, shape[2]) for one in sets] for sets in blocks)
    made, seen = np.zeros_like(query[0]), np.zeros_like(query[0][0])
    count, token = 0, 0
    for pixel in range(len(made)):
        own = pixel * op.groups + group
        while token < own + op.inclusive:
            place, other = divmod(token, op.groups)
            token += 1
            if token % op.pool:
                continue
            one = other * op.heads + head
            alone, count = values[one][place], count + 1
            seen = seen | alone | keys[one][place]
        made[pixel] = seen | query[part][pixel] if count > 1 else alone if count else 0
    return made.reshape(shape)


def _same(one: Kinds, other: Kinds) -> bool:
    """Whether features depend on the same, however they are sorted into kinds."""
    pairs = np.unique(np.stack([one.of, other.of]), axis=1).T
    return all(np.array_equal(one.sets[a], other.sets[b]) for a, b in pairs)


def _booleans(sets: Sets, size: int) -> NDArray[np.bool_]:
    """(h, w, bytes) -> (pixels, pixels)."""
    bits = np.unpackbits(sets.reshape(-1, sets.shape[2]), axis=1, count=size)
    return bits.astype(np.bool_)
