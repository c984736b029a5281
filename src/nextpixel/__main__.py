"""`python -m nextpixel` is the command `nextpixel`."""

import sys

from nextpixel.cli.app import main

sys.exit(main())
