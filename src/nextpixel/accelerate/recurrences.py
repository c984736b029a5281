"""Steps of LSTM cells fused, for training on a CPU.

A step is small: in torch most of its time goes into starting some fifteen operations, and again as
many backward. Here a step is one product of matrices and one kernel, and so it is backward; the
gradient of the weights is one product for all steps. Values are torch's but for rounding.

Cells of a step are those of all images, side by side: (steps, B, cells, F).
"""

from typing import Any

import numpy as np
import torch
from numba import types
from numba.extending import intrinsic
from torch import Tensor

from nextpixel.runtime.compiling import compiled
from nextpixel.runtime.vectors import (
    WIDTH,
    Value,
    add16,
    load,
    pointer,
    sigmoid16,
    store,
    tanh16,
    times16,
)


def should_fuse(gates: Tensor, weight: Tensor, groups: int) -> bool:
    """Whether kernels are made for it: on a CPU, float32, one group, whole vectors of features."""
    on_cpu = all(x.device.type == "cpu" and x.dtype == torch.float32 for x in (gates, weight))
    return on_cpu and groups == 1 and weight.shape[1] % WIDTH == 0


def recur(gates: Tensor, weight: Tensor, shifts: tuple[int, ...], inside: Tensor | None) -> Tensor:
    """`nn.lstm.Recurrence.forward`.

    Args:
        gates: (steps, B, cells, 4 F).
        weight: (4 F, F, 1, shifts).
        shifts: See `Recurrence`.
        inside: Boolean, (steps, cells), or None.

    Returns:
        (steps, B, cells, F).
    """
    matrix = weight.flatten(1, 2).permute(2, 1, 0).flatten(0, 1)
    if inside is None:
        inside = torch.ones(len(gates), gates.shape[2], dtype=torch.bool)
    made: Tensor = _Recurrence.apply(gates.contiguous(), matrix, shifts, inside)
    return made


class _Recurrence(torch.autograd.Function):
    """All steps, and their gradients."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's own
        gates: Tensor,
        weight: Tensor,
        shifts: tuple[int, ...],
        inside: Tensor,
    ) -> Tensor:
        steps, count, size, _ = gates.shape
        features = weight.shape[1] // 4
        opened = torch.empty_like(gates)
        cells = gates.new_zeros(steps + 1, count, size, features)
        bent, out = torch.empty_like(cells[1:]), torch.empty_like(cells[1:])
        seen = gates.new_zeros(steps + 1, count, size, len(weight))
        there, places = inside.numpy(), np.array(shifts)
        for step in range(steps):
            total = opened[step]
            added, read = gates[step].flatten(0, 1), seen[step].flatten(0, 1)
            torch.addmm(added, read, weight, out=total.view(-1, 4 * features))
            _forward(
                total.numpy(), cells[step].numpy(), cells[step + 1].numpy(), bent[step].numpy(),
                out[step].numpy(), seen[step + 1].numpy(), places, there[step],
            )  # fmt: skip
        ctx.save_for_backward(weight, opened, cells, bent, seen)
        ctx.places = places
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, back: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        weight, opened, cells, bent, seen = ctx.saved_tensors
        gates, back = torch.empty_like(opened), back.clone(memory_format=torch.contiguous_format)
        carried, returned = torch.zeros_like(cells[0]), torch.zeros_like(seen[0])
        for step in range(len(opened) - 1, -1, -1):
            _backward(
                back[step].numpy(), opened[step].numpy(), cells[step].numpy(), bent[step].numpy(),
                gates[step].numpy(), carried.numpy(), returned.numpy(), ctx.places,
            )  # fmt: skip
            torch.mm(gates[step].flatten(0, 1), weight.T, out=returned.view(-1, len(weight)))
        of_weight = seen[:-1].flatten(0, 2).T @ gates.flatten(0, 2)
        return gates, of_weight, None, None


@compiled
def _forward(total, before, cells, bent, out, seen, shifts, inside):
    """One step: gates open (in place), cells, their tanh, what is let out, and who sees that."""
    count, size, features = cells.shape
    flat, old, new = total.ravel(), before.ravel(), cells.ravel()
    tanhs, let, shown = bent.ravel(), out.ravel(), seen.ravel()
    kinds = len(shifts)
    for image in range(count):
        for cell in range(size):
            n = (image * size + cell) * features
            gate = 4 * n
            if not inside[cell]:
                flat[gate : gate + 4 * features] = 0.0
                new[n : n + features] = 0.0
                tanhs[n : n + features] = 0.0
                let[n : n + features] = 0.0
                continue
            for f in range(0, 3 * features, WIDTH):
                sigmoid16(flat, gate + f, flat, gate + f, flat, gate + f)
            for f in range(0, features, WIDTH):
                g = gate + 3 * features + f
                tanh16(flat, g, flat, g, flat, g)
                times16(tanhs, n + f, flat, g, flat, g - features)
                times16(new, n + f, old, n + f, flat, g - 2 * features)
                add16(new, n + f, new, n + f, tanhs, n + f)
                tanh16(tanhs, n + f, new, n + f, new, n + f)
                times16(let, n + f, tanhs, n + f, flat, gate + f)
                for k in range(kinds):
                    reader = cell - shifts[k]
                    if 0 <= reader < size:
                        to = ((image * size + reader) * kinds + k) * features + f
                        shown[to : to + WIDTH] = let[n + f : n + f + WIDTH]


@compiled
def _backward(back, opened, before, bent, gates, carried, returned, shifts):
    """One step backward: gradients of the gates, and of the cells before (in place)."""
    count, size, features = before.shape
    come, flat, old, tanhs = back.ravel(), opened.ravel(), before.ravel(), bent.ravel()
    made, kept, more = gates.ravel(), carried.ravel(), returned.ravel()
    kinds = len(shifts)
    for image in range(count):
        for cell in range(size):
            n = (image * size + cell) * features
            for f in range(0, features, WIDTH):
                at = n + f
                for k in range(kinds):
                    reader = cell - shifts[k]
                    if 0 <= reader < size:
                        add16(
                            come, at, come, at, more,
                            ((image * size + reader) * kinds + k) * features + f,
                        )  # fmt: skip
                _cell_back16(
                    made, 4 * n + f, features, flat, come, at, tanhs, old, kept,
                )  # fmt: skip


@intrinsic
def _cell_back16(typingctx, made, gate, features, opened, back, at, bent, before, carried):
    """Gradients of sixteen cells from `at` on and of their gates from `gate` on."""
    index = types.int64

    def generate(context, builder, signature, values):
        kinds = signature.args
        out, gates, come, tanhs, old, kept = (
            pointer(context, builder, kinds[k], values[k]) for k in (0, 3, 4, 6, 7, 8)
        )
        gate, step, at = values[1], values[2], values[5]
        places = [gate]
        for _ in range(3):
            places.append(builder.add(places[-1], step))

        def read(data, place):
            return Value(builder, load(builder, data, place))

        o, f, i, g = (read(gates, place) for place in places)
        h, t, c, later = read(come, at), read(tanhs, at), read(old, at), read(kept, at)
        one = t.constant(1.0)
        cell = h * o * (one - t * t) + later
        found = (
            h * t * o * (one - o), cell * c * f * (one - f),
            cell * g * i * (one - i), cell * i * (one - g * g),
        )  # fmt: skip
        for value, place in zip(found, places, strict=True):
            store(builder, value.value, out, place)
        store(builder, (cell * f).value, kept, at)
        return context.get_dummy_value()

    arguments = (made, index, index, opened, back, index, bent, before, carried)
    return types.void(*arguments), generate
