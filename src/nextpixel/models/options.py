"""Choices that several models offer."""

COLOR_MODES = ("dependent", "independent")


def color_groups(mode: str, colors: int) -> int:
    """Feature groups of a network: one per color where colors depend on each other, else one.

    Raises:
        ValueError: If `mode` is not "dependent" or "independent".
    """
    check_choice("colors", mode, COLOR_MODES)
    return colors if mode == "dependent" else 1


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a word that is none of the choices.

    Raises:
        ValueError: Naming the choices.
    """
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


def check_counts(config: object, *names: str, least: int = 1) -> None:
    """Refuse counts of a config that are too small.

    Raises:
        ValueError: Naming the first of them.
    """
    for name in names:
        if getattr(config, name) < least:
            raise ValueError(f"{name} must be at least {least}, got {getattr(config, name)}")
