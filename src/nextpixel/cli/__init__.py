"""The command `nextpixel`: thin callers of the public functions, one file a command."""
