"""Choices that several models offer."""

COLOR_MODES = ("dependent", "independent")


def color_groups(mode: str, colors: int) -> int:
    """Feature groups of a network: one per color where colors depend on each other, else one.

    Raises:
        ValueError: If `mode` is not "dependent" or "independent".
    """
    if mode not in COLOR_MODES:
        raise ValueError(f"colors must be one of {', '.join(COLOR_MODES)}, got {mode!r}")
    return colors if mode == "dependent" else 1
