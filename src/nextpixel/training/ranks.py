"""The earlier place of `nextpixel.ranks`."""

from nextpixel.ranks import Ranks as Ranks
