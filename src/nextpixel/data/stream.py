"""Images to train on that come one after another, and how levels are made of them.

What was held out for validation and test is left out wherever it comes up again, by its content: so
it stays out whatever the order, and however many processes read.
"""

import hashlib
from dataclasses import dataclass

from nextpixel.data.flow import Flow
from nextpixel.data.shards import Row
from nextpixel.errors import NextPixelError
from nextpixel.order import Shape


@dataclass(frozen=True, eq=False)
class Stream:
    """Images to train on that come one after another, for `nextpixel.fit`.

    Args:
        name: The set's and the split's name, as in `faces/train`.
        flow: Gives the images.
        held: Marks of images that are left out.
        level_count: K.
        protocol: `threshold`, `dynamic` or `quantized`.
        buffer: Images that are read together, and come out in an order of their own.
        classes: Number of classes; 0 where there are no labels.
    """

    name: str
    flow: Flow
    held: frozenset[bytes]
    level_count: int
    protocol: str
    buffer: int
    classes: int

    @property
    def shape(self) -> Shape:
        """Colors, height and width of one image."""
        return self.flow.shape

    @property
    def shards(self) -> int:
        """In how many pieces it can be handed out."""
        return self.flow.rows.num_shards

    @property
    def has_labels(self) -> bool:
        """Whether its images have labels."""
        return self.flow.has_labels

    @property
    def mark(self) -> str:
        """What tells this stream from others, as far as its beginning shows."""
        held = hashlib.blake2b(b"".join(sorted(self.held)), digest_size=4).hexdigest()
        return f"a stream of {self.shards} shards, buffer {self.buffer}, without {held}"

    def label(self, row: Row, index: int) -> int:
        """Label of a row.

        Raises:
            NextPixelError: If there is no such class.
        """
        label = self.flow.label(row, index)
        if self.has_labels and label >= self.classes:
            raise NextPixelError(
                f"{self.name}: labels must be below {self.classes}, the largest that is held out "
                f"or the number of its names, got {label} in row {index}; give the column names "
                "(ClassLabel)"
            )
        return label
