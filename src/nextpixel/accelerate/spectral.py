r"""Wide convolutions by the convolution theorem: a product at each frequency in place of each tap.

With ^ the discrete Fourier transform over rows and columns, for outputs o and inputs i,

.. math:: \hat y_o(f) = \sum_i \hat x_i(f) \, \hat w_{oi}(f).

A 4x7 kernel multiplies 28 times a pixel, the product of spectra 3 to 5 times. The transforms cost a
constant for each feature, so this should_fuse for many features and wide kernels only.

An image is cut into stripes of rows that overlap by the height of the kernel: products are then of
larger matrices, and the kernels need fewer frequencies. Zeros keep the circle from closing.

Sums at a frequency run over a whole stripe. A value depends on later pixels by rounding, about 1e-7
of it, and only by rounding: good enough for gradients, not for a likelihood or an audit.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

FEATURES, SIDE, IMAGES = 64, 7, 8
"""The least of each for which `should_fuse`, by measurement on a CPU with AVX-512."""


def should_fuse(x: Tensor, weight: Tensor) -> bool:
    """Whether `convolve` is expected to be faster than torch's convolution."""
    outputs, inputs, _, side = weight.shape
    enough = min(outputs, inputs) >= FEATURES and side >= SIDE and len(x) >= IMAGES
    return enough and x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64)


def convolve(x: Tensor, weight: Tensor) -> Tensor:
    """What a cropped kernel sees: its rows end at the pixel, its columns are centred on it.

    Args:
        x: Shape (B, inputs, H, W).
        weight: Shape (outputs, inputs, rows, side), `side` odd.

    Returns:
        Shape (B, outputs, H, W), differentiable once.
    """
    convolved: Tensor = _Convolution.apply(x, weight)  # type: ignore[no-untyped-call]
    return convolved


def smooth(size: int) -> int:
    """The least number from `size` on that has no prime factors above 5, for fast transforms.

    Example:
        >>> [smooth(size) for size in (10, 31, 34)]
        [10, 32, 36]
    """
    rest = size
    for factor in (2, 3, 5):
        while rest % factor == 0:
            rest //= factor
    return size if rest == 1 else smooth(size + 1)


def _spectra(planes: Tensor, size: tuple[int, int], order: tuple[int, ...]) -> Tensor:
    """Transform the last two dimensions; the frequencies come first, then the others in `order`."""
    found: Tensor = torch.fft.rfft2(planes, s=size)
    return found.permute(-2, -1, *order).flatten(0, 1)


def _planes(spectra: Tensor, size: tuple[int, int], order: tuple[int, ...]) -> Tensor:
    """The inverse of `_spectra`, with the dimensions after the frequencies in `order`."""
    grid = spectra.view(size[0], -1, *spectra.shape[1:])
    found: Tensor = torch.fft.irfft2(grid.permute(*(2 + at for at in order), 0, 1), s=size)
    return found


class _Convolution(torch.autograd.Function):
    """The products and their two gradients; the spectra of inputs and kernels are kept."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:  # noqa: ANN401 - torch's own
        height, width = x.shape[2:]
        rows, side = weight.shape[2:]
        step, above, reach = 2 * rows - 1, rows - 1, side // 2
        size = smooth(step + above), smooth(max(width + reach, side))
        padded = F.pad(x, (0, 0, above, -height % step))
        stripes = padded.unfold(2, step + above, step).mT  # (B, inputs, stripes, rows, W)
        images = _spectra(stripes, size, (0, 2, 1)).flatten(1, 2).contiguous()
        kernels = _spectra(weight.flip(2, 3), size, (1, 0)).contiguous()
        products = torch.bmm(images, kernels)
        products = products.view(len(products), len(x), -1, len(weight))
        y = _planes(products, size, (0, 2, 1))[..., above : above + step, reach : reach + width]
        ctx.save_for_backward(images, kernels)
        ctx.sizes = (x.shape, weight.shape, size, step)
        return y.flatten(2, 3)[:, :, :height]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ANN401
        images, kernels = ctx.saved_tensors
        (count, inputs, height, width), (_, _, rows, side), size, step = ctx.sizes
        above, reach = rows - 1, side // 2
        # A shift by the kernel's reach lines outputs up with inputs; conjugates turn it around.
        stripes = F.pad(gradient, (0, 0, 0, -height % step)).unfold(2, step, step).mT
        stripes = F.pad(stripes, (reach, 0, above, 0))
        outputs = _spectra(stripes, size, (0, 2, 1)).flatten(1, 2).conj().resolve_conj()
        products = torch.bmm(outputs, kernels.mT).conj_physical_()
        products = products.view(len(products), count, -1, inputs)
        back = _planes(products, size, (0, 2, 1))[..., : above + step, :width]
        x = back.new_zeros(*back.shape[:2], back.shape[2] * step + above, width)
        for number, stripe in enumerate(back.unbind(2)):
            x[:, :, number * step : number * step + above + step] += stripe
        taps = _planes(torch.bmm(images.mT, outputs).conj_physical_(), size, (1, 0))
        return x[:, :, above : above + height], taps[..., :rows, :side].flip(2, 3)
