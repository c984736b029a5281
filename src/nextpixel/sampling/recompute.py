"""The plain way to predict a step: run the network again on what is written.

It is the oracle that faster states are tested against. The one economy is exact: only the window of
rows and columns that the step can depend on is computed, since the network gives the same there.
"""

import torch
from torch import Tensor

from nextpixel.heads import Distribution
from nextpixel.models import PixelModel
from nextpixel.nn import NO_EMBEDDING, Embedding
from nextpixel.order import Step
from nextpixel.runtime.threads import Threads


class Recompute:
    """State of a scan that runs a forward pass for each pixel and color.

    Args:
        model: The model, in evaluation mode.
        levels: Where to start, integers of shape (B, C, H, W); entries that are not written yet
            may hold any level. It is copied.
    """

    def __init__(
        self, model: PixelModel, levels: Tensor, embedding: Embedding = NO_EMBEDDING
    ) -> None:
        self.model = model
        self.levels = levels.long().clone()
        self.x = model.encode(self.levels)
        self.embedding = embedding
        self.threads = Threads(1 if self.x.is_cuda else None)

    def predict(self, step: Step) -> Distribution:
        """Distribution of a step given all before it, batch shape (B,)."""
        top, left = max(0, step.row - self.model.reach), max(0, step.column - self.model.reach)
        right = step.column + self.model.reach + 1
        window = self.x[:, :, top : step.row + 1, left:right]
        column = step.column - left

        @torch.inference_mode()
        def run(share: tuple[Tensor, Embedding]) -> Tensor:
            outputs = self.model.network(*share, (top, left))
            return outputs[:, :, -1:, column : column + 1]

        embedding = self.embedding.window((top, left), *window.shape[2:])
        count = min(self.threads.count, len(window))
        shares = zip(torch.tensor_split(window, count), embedding.share_out(count), strict=True)
        with self.threads.alone():
            outputs = torch.cat(list(self.threads.map(run, shares)))
        pixel = self.levels[:, :, step.row, step.column, None, None]
        return self.model.read_head(outputs, pixel)[:, step.color, 0, 0]

    def write(self, step: Step, chosen: Tensor) -> None:
        """Write levels, shape (B,), at a step."""
        row, column, color = step
        self.levels[:, color, row, column] = chosen
        pixel = self.levels[:, :, row : row + 1, column : column + 1]
        self.x[:, :, row : row + 1, column : column + 1] = self.model.encode(pixel)
