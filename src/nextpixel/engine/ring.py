"""The last rows of a feature map, at addresses that are the same for every row of the image."""

import torch
from torch import Tensor


class Ring:
    """Rows of a map, the current one last, with columns of zeros at either side.

    Rows move up by one when a row ends, so that what reads and writes them can be recorded once.

    Args:
        like: Gives dtype and device.
        count: Images B.
        rows: Rows that are kept.
        width: Columns of the image.
        pad: Columns of zeros at either side.
        features: F.
    """

    def __init__(
        self, like: Tensor, *, count: int, rows: int, width: int, pad: int, features: int
    ) -> None:
        self.values = like.new_zeros(count, rows, width + 2 * pad, features)
        self.pad = pad

    def at(self, columns: range, row: int = 0, features: slice = slice(None)) -> Tensor:
        """A view of some columns, (B, columns, features); `row` is 0 or counts back from there."""
        left = columns.start + self.pad
        return self.values[:, row - 1, left : left + len(columns), features]

    def seen(self, columns: range, taps: tuple[tuple[int, int], ...]) -> Tensor:
        """What taps see from some columns, (B, columns, taps * F).

        Of one column, and taps that are neighbours in the current row, it is a view.
        """
        (row, first), (last_row, last) = taps[0], taps[-1]
        if len(columns) == 1 and row == last_row == 0 and last - first == len(taps) - 1:
            run = range(columns.start + first, columns.start + last + 1)
            return self.at(run).flatten(1).unsqueeze(1)
        shifted = [
            self.at(range(columns.start + column, columns.stop + column), row)
            for row, column in taps
        ]
        return torch.cat(shifted, -1)

    def shift(self) -> None:
        """Move rows up by one; the current row is to be written next."""
        if self.values.shape[1] > 1:
            self.values[:, :-1] = self.values[:, 1:].clone()

    def clear(self) -> None:
        """Above the image all is zero."""
        self.values.zero_()
