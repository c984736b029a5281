"""Where images come from: one file a kind of source; `nextpixel.data.load` has their names."""
