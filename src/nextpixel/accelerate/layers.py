"""Which layers have a fused form for training, and the context in which they use it.

`FUSED` has one line for each class: a function that computes what a method of the class gives, or
declines by giving None; then the method itself is called. Values are the same but for rounding:
good enough for gradients, differentiable once. Evaluation never does this.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from nextpixel.accelerate import chains, recurrences, spectral, stacks
from nextpixel.models.autoencoder import PixelAutoencoder
from nextpixel.models.gated import GatedLayer, GatedPixelCNN
from nextpixel.models.residual import ResidualBlock, ResidualPixelCNN
from nextpixel.nn import (
    ConditionalConv2d,
    Embedding,
    Gate,
    HorizontalConv2d,
    Injection,
    Injections,
    MaskedConv2d,
    VerticalConv2d,
)
from nextpixel.nn.lstm import Recurrence


@dataclass(frozen=True)
class Fusion:
    """A fused form of one method of a class.

    Attributes:
        compute: Gives what the method gives, or None, for a module and the method's arguments.
        method: The method.
        parts: Submodules whose work it does, all the way down; None: all there are.
    """

    compute: Callable[..., Any]
    method: str = "forward"
    parts: tuple[str, ...] | None = None


@contextmanager
def fused(model: nn.Module) -> Iterator[None]:
    """Let the layers of a model train by fused kernels where these are expected to be faster.

    Only modules of exactly the classes in `FUSED` take part, in training mode and with gradients;
    a module with a part that is of an unknown class, has hooks or another `forward` does not.

    Args:
        model: The model; nothing is left on it afterwards.
    """
    found: list[tuple[nn.Module, Fusion]] = []
    _collect(model, found)
    try:
        for module, fusion in found:
            plain = getattr(module, fusion.method)
            vars(module)[fusion.method] = partial(_compute, module, fusion.compute, plain)
        yield
    finally:
        for module, fusion in found:
            vars(module).pop(fusion.method, None)


def _collect(module: nn.Module, found: list[tuple[nn.Module, Fusion]]) -> bool:
    """Find what can be fused; whether all that a module does is known, and watched by nobody."""
    children = module._modules.items()
    known = {name: _collect(child, found) for name, child in children if child is not None}
    fusion = FUSED.get(type(module))
    if fusion and fusion.method not in vars(module):
        if all(known.get(name, True) for name in fusion.parts or known):
            found.append((module, fusion))
    own = vars(module)
    watched = "forward" in own or any(map(own.get, HOOKS))
    return type(module) in KNOWN and not watched and all(known.values())


def _compute(
    module: nn.Module,
    fused: Callable[..., Any],
    plain: Callable[..., Any],
    *inputs: object,
    **named: object,
) -> object:
    made = None
    eager = not (torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling())
    if module.training and torch.is_grad_enabled() and eager:
        made = fused(module, *inputs, **named)
    return plain(*inputs, **named) if made is None else made


def masked_conv(conv: MaskedConv2d, x: Tensor) -> Tensor | None:
    """A masked convolution alone: by its spectra where it is wide, or as a chain of one."""
    if conv.dilation == 1 and spectral.should_fuse(x, conv.weight):
        y = spectral.convolve(x, conv.masked)
        return y if conv.bias is None else y + conv.bias.view(-1, 1, 1)
    if _is_large(conv) and chains.should_fuse(x, conv.weight):
        return chains.chain(x, [conv.taps], [conv.seen], [_constant(conv)], rectified=False)
    return None


def _is_large(conv: MaskedConv2d) -> bool:
    """Whether it is worth an operation of its own, by measurement on a CPU with AVX-512."""
    outputs, inputs = conv.weight.shape[:2]
    return len(conv.taps) > 1 or (len(conv.taps) == 1 and outputs >= 4 * inputs)


def gate(layer: Gate, x: Tensor) -> Tensor | None:
    """A gate where the layer as a whole is not fused."""
    del layer
    return stacks.gate(x) if x.requires_grad else None


def residual_block(block: ResidualBlock, x: Tensor, embedding: Embedding) -> Tensor | None:
    """All of a block."""
    layers = cast("Sequence[ConditionalConv2d]", block.layers)
    convs = [(layer.conv, layer.inject) for layer in layers]
    return _chain(x, convs, embedding, residual=True)


def residual_head(model: ResidualPixelCNN, x: Tensor, embedding: Embedding) -> Tensor | None:
    """What follows the blocks."""
    if model.squash is None or model.post:
        return None
    convs = [(model.squash.conv, model.squash.inject), (model.last, model.inject_last)]
    return _chain(x, convs, embedding)


def gated_head(model: GatedPixelCNN, x: Tensor, embedding: Embedding) -> Tensor | None:
    """The last two convolutions."""
    convs = [(model.squash, model.inject_squash), (model.last, model.inject_last)]
    return _chain(x, convs, embedding, rectified=False)


def _chain(
    x: Tensor,
    convs: Sequence[tuple[MaskedConv2d, Injections]],
    embedding: Embedding,
    *,
    rectified: bool = True,
    residual: bool = False,
) -> Tensor | None:
    """ReLU and convolution, one or more times; see `chains.chain`."""
    constant = all(_is_constant(inject, embedding) for _, inject in convs)
    if not constant or not chains.should_fuse(x, *(conv.weight for conv, _ in convs)):
        return None
    biases = [
        inject.after(_constant(conv).view(1, -1, 1, 1), embedding).flatten(1)
        for conv, inject in convs
    ]
    taps, weights = [conv.taps for conv, _ in convs], [conv.seen for conv, _ in convs]
    return chains.chain(x, taps, weights, biases, rectified=rectified, residual=residual)


def _is_constant(inject: Injections, embedding: Embedding) -> bool:
    """Whether conditions only add to a convolution's bias."""
    return inject.before.is_empty and (embedding.everywhere or inject.after.is_empty)


def _constant(conv: MaskedConv2d) -> Tensor:
    """The bias, zeros if there is none, (1, outputs)."""
    bias = conv.weight.new_zeros(len(conv.weight)) if conv.bias is None else conv.bias
    return bias.unsqueeze(0)


def gated_layer(
    layer: GatedLayer, v: Tensor, h: Tensor, embedding: Embedding
) -> tuple[Tensor, Tensor, Tensor | None] | None:
    """Both stacks up to their gates, with the last convolution where it alone follows."""
    if not embedding.everywhere or not layer.inject_link.is_empty:
        return None
    read = layer.inject_v.before(v, embedding), layer.inject_h.before(h, embedding)
    if not stacks.should_fuse(read, len(layer.link.weight) // 2):
        return None
    drops = isinstance(layer.dropout, nn.Dropout)
    alone = layer.skip is None and layer.inject_out.is_empty and not drops and read[1] is h
    v, opened = _both_stacks(layer, read, embedding, layer.out if alone else None)
    if alone and layer.out is not None:
        return v, opened, None
    return v, *layer.mix(h, opened, embedding)


def _both_stacks(
    layer: GatedLayer, read: tuple[Tensor, Tensor], embedding: Embedding, out: MaskedConv2d | None
) -> tuple[Tensor, Tensor]:
    above, row = layer.inject_v, layer.inject_h
    bias = layer.vertical.bias.view(1, -1, 1, 1)
    link_bias = cast("Tensor", layer.link.bias)
    row_bias = (layer.horizontal.bias + link_bias).view(1, -1, 1, 1)
    weights = [layer.vertical.weight, layer.horizontal.masked, layer.link.weight]
    added = [
        above.after(bias, embedding),
        layer.inject_gate_h(row.after(row_bias, embedding), embedding),
        layer.inject_gate_v(torch.zeros_like(bias), embedding),
    ]
    if out is not None:
        weights, added = [*weights, out.masked], [*added, _constant(out)]
    return stacks.both_stacks(
        read,
        (layer.vertical.taps, layer.horizontal.taps),
        [weight.flatten(2) for weight in weights],
        [one.flatten(1) for one in added],
        residual=not layer.first,
    )


def recurrence(layer: Recurrence, gates: Tensor, inside: Tensor | None = None) -> Tensor | None:
    """All steps of a layer's cells."""
    if not recurrences.should_fuse(gates, layer.weight, layer.groups):
        return None
    return recurrences.recur(gates, layer.weight, layer.shifts, inside)


_GATED_HEAD = ("squash", "inject_squash", "last", "inject_last")

FUSED: dict[type[nn.Module], Fusion] = {
    MaskedConv2d: Fusion(masked_conv),
    Gate: Fusion(gate),
    Recurrence: Fusion(recurrence),
    GatedLayer: Fusion(gated_layer),
    ResidualBlock: Fusion(residual_block),
    GatedPixelCNN: Fusion(gated_head, "read_out", _GATED_HEAD),
    PixelAutoencoder: Fusion(gated_head, "read_out", _GATED_HEAD),
    ResidualPixelCNN: Fusion(residual_head, "read_out", ("norm", "squash", "last", "inject_last")),
}
"""Classes with a fused form; a subclass has none until it is listed itself."""

KNOWN = {
    *(MaskedConv2d, VerticalConv2d, HorizontalConv2d, nn.Conv2d, ConditionalConv2d, Gate),
    *(Injection, Injections, nn.Identity, nn.Dropout, nn.ModuleDict, nn.ModuleList),
}
"""Classes whose work a fused form may do."""

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
"""Where torch keeps what watches a module."""
