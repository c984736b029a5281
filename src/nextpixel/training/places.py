"""Which pixels of an image are trained on, and what each counts.

All pixels count alike unless a run says otherwise. Where an image is a small part of a larger one,
pixels near its border see less than most pixels do where the model will be used; they may count
less. And neighbouring pixels are much alike: of a net that predicts a pixel from a small window,
some pixels of many images make a better batch than all pixels of a few.
"""

import torch
from torch import Tensor

from nextpixel.data.splits import rng_of
from nextpixel.models import PixelModel


class Places:
    """Pixels of the images of a model.

    Args:
        model: The model.
        border_weight: What a pixel counts whose window reaches over the border; others count 1.
        pixels: How many are drawn of each image, with repetition, in proportion to what they count;
            None: all of them are taken.

    Raises:
        ValueError: If the border is to count less and every window reaches over it.
    """

    def __init__(
        self, model: PixelModel, border_weight: float = 1.0, pixels: int | None = None
    ) -> None:
        _, height, width = model.shape
        self.count, self.pixels = height * width, pixels
        self.even = border_weight == 1
        self.weights = torch.ones(height, width)
        if not self.even:
            self.weights = _inside(model, border_weight)

    def draw(self, images: int, seed: int) -> Tensor | None:
        """Places row * W + column, int64, (images, pixels); None: all are taken."""
        if self.pixels is None:
            return None
        many, rng = images * self.pixels, rng_of(seed, "pixels")
        if self.even:
            drawn = torch.randint(self.count, (many,), generator=rng)
        else:
            drawn = torch.multinomial(self.weights.flatten(), many, replacement=True, generator=rng)
        return drawn.view(images, self.pixels)

    def weighed(self, log_p: Tensor, *, drawn: bool) -> Tensor:
        """Sum of what counts of log-probabilities (B, C, H, W), or (B, C, n) where drawn.

        Its mean over draws is that of all pixels, and of all pixels alike it is the plain sum.
        """
        if drawn:
            return log_p.sum() * (self.count / log_p.shape[2])
        return log_p.sum() if self.even else (log_p * self.weights.to(log_p.device)).sum()


def _inside(model: PixelModel, border: float) -> Tensor:
    """What each pixel counts, mean 1, (H, W)."""
    _, height, width = model.shape
    reach = model.reach
    if height <= reach or width <= 2 * reach:
        raise ValueError(
            f"border_weight must be 1 for {model.name} on images of {height} x {width}, whose "
            f"windows of {2 * reach + 1} pixels reach over the border everywhere, got {border}"
        )
    weights = torch.full((height, width), border)
    weights[reach:, reach : width - reach] = 1.0
    return weights / weights.mean()
