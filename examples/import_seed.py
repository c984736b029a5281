"""Weights of the seeds' published code as models of this library, tensor by tensor.

    python examples/import_seed.py LAYOUT WEIGHTS --out FOLDER [--shape 1 28 28]

LAYOUT is one of those in `LAYOUTS`; WEIGHTS is a state dict that `torch.save` wrote, or, of the
Keras notebook (seed 001), an .npz of `model.get_weights()` in order. The function that a layout
names can be called with the tensors themselves.

Kernels are cropped to the rows down to the centre, since all others are masked. Three groups of
color features, which the code of seed 004 interleaves, are put one after the other; outputs that it
orders level by level are put color by color.
"""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import nextpixel as npx

State = Mapping[str, Tensor]
Shape = tuple[int, int, int]
GRAY: Shape = (1, 28, 28)


def put(target: Tensor | None, source: Tensor) -> None:
    """Copy one tensor; a kernel of which fewer rows or columns are kept is cropped."""
    assert target is not None
    with torch.no_grad():
        target.copy_(source[tuple(map(slice, target.shape))])


def put_norm(norm: nn.Module, state: State, name: str) -> None:
    """Copy a batch norm."""
    for part in ("weight", "bias", "running_mean", "running_var"):
        put(getattr(norm, part), state[f"{name}.{part}"])


def seed_000(state: State, shape: Shape = GRAY) -> npx.PixelModel:
    """PixelCNN with batch norm: `layer1.0.Conv2d.weight` to `layer9.bias`."""
    layers = sum(name.endswith("Conv2d.weight") for name in state)
    first, last = state["layer1.0.Conv2d.weight"], f"layer{layers + 1}"
    model = npx.build(
        "pixelcnn", shape=shape, levels=len(state[f"{last}.bias"]), features=len(first),
        layers=layers, side=first.shape[-1], pointwise=0, batch_norm=True, bias=False, edge=False,
        scale="unit",
    )  # fmt: skip
    for number, layer in enumerate(model.hidden, 1):
        put(layer.conv.conv.weight, state[f"layer{number}.0.Conv2d.weight"])
        put_norm(layer.norm, state, f"layer{number}.1")
    put(model.last.weight, state[f"{last}.weight"])
    put(model.last.bias, state[f"{last}.bias"])
    return model


def seed_001(weights: list[Tensor], shape: Shape = GRAY) -> npx.PixelModel:
    """Residual PixelCNN of the notebook: kernels (rows, columns, inputs, outputs) and biases."""
    kernels = [kernel.permute(3, 2, 0, 1) for kernel in weights[::2]]
    blocks = (len(kernels) - 3) // 3
    model = npx.build(
        "residual-pixelcnn", shape=shape, levels=len(kernels[-1]), features=len(kernels[0]),
        inner=len(kernels[1]), blocks=blocks, first_side=kernels[0].shape[-1],
        side=kernels[2].shape[-1], head_features=len(kernels[-2]), edge=False, scale="unit",
        head="categorical",
    )  # fmt: skip
    inner = [layer.conv for block in model.blocks for layer in block.layers]
    convs = [model.first.conv, *inner, model.squash.conv, model.last]
    for conv, kernel, bias in zip(convs, kernels, weights[1::2], strict=True):
        put(conv.weight, kernel)
        put(conv.bias, bias)
    return model


OURS_002 = ("vertical", "horizontal", "link", "out")
THEIRS_002 = ("vconv", "hconv", "v_to_h_conv", "h_to_h_conv")


def seed_002(state: State, shape: Shape = GRAY) -> npx.PixelModel:
    """Gated PixelCNN: `layers.0.vconv.weight` to `out_conv.2.bias`."""
    layers = sum(name.endswith("vconv.weight") for name in state)
    first, second = state["layers.0.vconv.weight"], state["layers.1.vconv.weight"]
    model = npx.build(
        "gated-pixelcnn", shape=shape, levels=len(state["out_conv.2.bias"]),
        features=len(first) // 2, layers=layers - 1, first_side=first.shape[-1],
        side=second.shape[-1], head_features=len(state["out_conv.0.bias"]), edge=False,
        scale="unit", head="categorical",
    )  # fmt: skip
    names = {
        "vertical": "vconv",
        "horizontal": "hconv",
        "link": "v_to_h_conv",
        "out": "h_to_h_conv",
    }
    for number, layer in enumerate([model.first, *model.layers]):
        for ours, theirs in names.items():
            put(getattr(layer, ours).weight, state[f"layers.{number}.{theirs}.weight"])
            put(getattr(layer, ours).bias, state[f"layers.{number}.{theirs}.bias"])
    for conv, theirs in ((model.squash, "out_conv.0"), (model.last, "out_conv.2")):
        put(conv.weight, state[f"{theirs}.weight"])
        put(conv.bias, state[f"{theirs}.bias"])
    return model


def seed_004(state: State, shape: Shape = GRAY) -> npx.PixelModel:
    """Plain binary PixelCNN, `net.0.weight` and so on, with `net.0.V` where it has classes."""
    numbers = sorted(int(name.split(".")[1]) for name in state if name.endswith("weight"))
    sides = [state[f"net.{number}.weight"].shape[-1] for number in numbers]
    classes, narrow = state.get("net.0.V"), sides.count(1)
    model = npx.build(
        "pixelcnn", shape=shape, levels=2, features=len(state["net.0.weight"]),
        layers=len(sides) - narrow, side=sides[0], pointwise=narrow - 1, edge=False,
        condition_all=True,
        condition=() if classes is None else npx.ClassCondition(classes.shape[1], form="bias"),
    )  # fmt: skip
    layers = [(layer.conv.conv, layer.conv.inject) for layer in model.hidden]
    for number, (conv, inject) in zip(
        numbers, [*layers, (model.last, model.inject_last)], strict=True
    ):
        put(conv.weight, state[f"net.{number}.weight"])
        put(conv.bias, state[f"net.{number}.bias"])
        if classes is not None:
            put(inject.after.layers["0"].weight, state[f"net.{number}.V"][:, :, None, None])
    return model


def seed_004_color(state: State, shape: Shape = (3, 28, 28)) -> npx.PixelModel:
    """Residual net of independent or, where its masks tell colors apart, dependent colors."""
    colors, features = shape[0], len(state["net.0.weight"])
    blocks = sum(name.endswith("net.2.weight") for name in state)
    side, last = state["net.3.net.2.weight"].shape[-1], f"net.{3 * blocks + 3}"
    centre = state["net.3.net.2.mask"][..., side // 2, side // 2]
    groups = 1 if bool(centre.all()) else colors
    model = npx.build(
        "residual-pixelcnn", shape=shape, levels=len(state[f"{last}.bias"]) // colors,
        features=features, inner=features // 2, blocks=blocks, side=side, head_features=0,
        first_side=state["net.0.weight"].shape[-1], block="post-activation", batch_norm=True,
        edge=False, colors="independent" if groups == 1 else "dependent",
    )  # fmt: skip
    state = in_order(masked(state), groups)
    put(model.first.conv.weight, state["net.0.weight"])
    put(model.first.conv.bias, state["net.0.bias"])
    put_norm(model.norm, state, "net.1")
    for number, block in enumerate(model.blocks):
        for layer, part in zip(block.layers, (0, 2, 4), strict=True):
            put(layer.conv.weight, state[f"net.{3 * number + 3}.net.{part}.weight"])
            put(layer.conv.bias, state[f"net.{3 * number + 3}.net.{part}.bias"])
        put_norm(block.norm, state, f"net.{3 * number + 4}")
    put(model.last.weight, by_color(state[f"{last}.weight"], colors))
    put(model.last.bias, by_color(state[f"{last}.bias"], colors))
    return model


def masked(state: State) -> dict[str, Tensor]:
    """Weights with their masks applied: our own first layer may see more than theirs."""
    return {
        name: tensor * state.get(f"{name.removesuffix('weight')}mask", torch.ones(()))
        if name.endswith(".weight")
        else tensor
        for name, tensor in state.items()
    }


def in_order(state: State, groups: int) -> dict[str, Tensor]:
    """Features f of color f % groups, one color after the other; image and outputs stay."""
    last = max(state, key=lambda name: int(name.split(".")[1])).split(".")[1]

    def order(count: int) -> Tensor:
        return torch.arange(count).view(-1, groups).T.reshape(-1)

    found = {}
    for name, tensor in state.items():
        if tensor.ndim == 4 and not name.startswith("net.0."):
            tensor = tensor[:, order(tensor.shape[1])]
        if tensor.ndim and name.split(".")[1] != last:
            tensor = tensor[order(len(tensor))]
        found[name] = tensor
    return found


def by_color(outputs: Tensor, colors: int) -> Tensor:
    """(levels * colors, ...) level by level -> color by color."""
    return outputs.unflatten(0, (-1, colors)).transpose(0, 1).flatten(0, 1)


LAYOUTS: dict[str, Callable[..., npx.PixelModel]] = {
    "000": seed_000,
    "001": seed_001,
    "002": seed_002,
    "004": seed_004,
    "004-color": seed_004_color,
}


def read(path: Path) -> State | list[Tensor]:
    """A state dict, or the arrays of an .npz file in their order."""
    if path.suffix != ".npz":
        found: State = torch.load(path, map_location="cpu", weights_only=True)
        return found
    with np.load(path) as arrays:
        return [torch.from_numpy(arrays[name]) for name in arrays.files]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("layout", choices=LAYOUTS)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder of the model")
    parser.add_argument("--shape", type=int, nargs=3, default=None, help="colors, height, width")
    asked = parser.parse_args()
    shape = {} if asked.shape is None else {"shape": tuple(asked.shape)}
    model = LAYOUTS[asked.layout](read(asked.weights), **shape)
    npx.save(model, asked.out)
    print(f"{asked.out}: {model.name}, {sum(p.numel() for p in model.parameters()):,} parameters")


if __name__ == "__main__":
    main()
