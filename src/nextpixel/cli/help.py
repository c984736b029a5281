"""What the help adds to the docstrings: examples of every command, and plain names of types.

It knows the words of the command line only, and costs no import. A test parses each example.
"""

import re
from typing import TYPE_CHECKING

from cyclopts import CycloptsError, MissingArgumentError, UnknownOptionError, UnusedCliTokensError
from cyclopts.help import DefaultFormatter, HelpPanel

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions

EXAMPLES: dict[str, tuple[str, ...]] = {
    "train": (
        "nextpixel train demo --out runs/mine",
        "nextpixel train mnist2-gated --train.minutes 5 --model.features 16",
        "nextpixel train --resume runs/mine",
        "nextpixel train mnist2-gated --model.condition classes=10 --out runs/class",
    ),
    "mix": (
        "nextpixel mix mnist-fast-class --out runs/summed",
        "nextpixel mix mnist-fast-class mnist-laptop-class --out runs/mixed",
    ),
    "evaluate": (
        "nextpixel evaluate mnist2-gated-class --limit 1000 --classify",
        "nextpixel evaluate runs/mine --json",
        "nextpixel evaluate photo --data pictures/",
    ),
    "sample": (
        "nextpixel sample mnist2-gated-class --label 3 --count 9 --out threes.png",
        "nextpixel sample mnist2-gated --count 9 --seed 7 --out scan.gif",
        "nextpixel sample mnist-row-lstm --size 64x48 --out wide.png",
    ),
    "complete": (
        "nextpixel complete mnist2-gated-class --images mnist --known top --out c.png",
        "nextpixel complete runs/mine --images a.png --known mask.png --out b.png",
    ),
    "reconstruct": ("nextpixel reconstruct mnist2-autoencoder --images mnist --out decoded.png",),
    "compress": (
        "nextpixel compress mnist2-gated digits.npy digits.npx --verbose",
        "nextpixel compress runs/mine pictures/ pictures.npx",
    ),
    "decompress": (
        "nextpixel decompress mnist2-gated digits.npx back.npy",
        "nextpixel decompress mnist2-gated digits.npx ten.npy --range 500:510",
    ),
    "info": ("nextpixel info digits.npx",),
    "audit": (
        "nextpixel audit mnist2-gated --out field.png",
        "nextpixel audit runs/mine --json",
    ),
    "recipes": ("nextpixel recipes", "nextpixel recipes demo", "nextpixel recipes --json"),
    "models": ("nextpixel models", "nextpixel models mnist2-gated", "nextpixel models runs/mine"),
    "data": ("nextpixel data",),
    "serve": ("nextpixel serve --open", "nextpixel serve mnist2-gated --port 8001"),
    "exhibit": (
        "nextpixel exhibit --out exhibit",
        "nextpixel exhibit --model mnist4-gated --out four",
    ),
    "runs": ("nextpixel runs", "nextpixel runs results --curves curves.png"),
}
"""Command -> what could be typed as it stands, where files of those names are there."""

FIRST = (
    "nextpixel sample mnist2-gated-class --label 3 --out threes.png",
    "nextpixel train demo --train.minutes 1 --out runs/mine",
)
"""For who has never seen the command."""
HELP = (
    "MODEL is a folder, or the name of a shipped model. `nextpixel models` lists those, "
    "`nextpixel sample --help` explains a command."
)


def epilogue(command: str) -> str:
    """The end of a command's help, in markdown; empty where there is no example."""
    return _shown(EXAMPLES.get(command, ()))


def overview() -> str:
    """The end of the help of `nextpixel` itself."""
    return _shown(FIRST) + "\n\n" + HELP


def _shown(lines: tuple[str, ...]) -> str:
    return "\n".join(["Examples:\n", *(f"    {line}" for line in lines)]) if lines else ""


def complaint(error: CycloptsError) -> str:
    """What is wrong with the words of a command, and what would work."""
    text, command = str(error), " ".join(error.command_chain or ())
    remedy = f"`nextpixel {command} --help` lists what it takes"
    if isinstance(error, UnusedCliTokensError):
        words = ", ".join(map(repr, error.unused_tokens or ()))
        return f"{command} takes no more words, got {words}; {remedy}"
    if isinstance(error, UnknownOptionError) and "Did you mean" not in text:
        return f"{text} {remedy}"
    argument = error.argument
    if isinstance(error, MissingArgumentError) and argument is not None and argument.required:
        return f"{text} For example: {EXAMPLES[command][0]}"
    return text


class PlainFormatter(DefaultFormatter):
    """The help of cyclopts, in which a value is an INTEGER or a TEXT, not an INT or a STR."""

    def __call__(self, console: "Console", options: "ConsoleOptions", panel: HelpPanel) -> None:
        """Show a panel of options."""
        entries = [entry.copy(metavar=plain(entry.metavar)) for entry in panel.entries]
        super().__call__(console, options, panel.copy(entries=entries))

    def render_usage(self, console: "Console", options: "ConsoleOptions", usage: object) -> None:
        """Show the first line."""
        super().render_usage(console, options, plain(str(usage)) if usage else usage)


def plain(text: str | None) -> str | None:
    """Names of types in a help text, as people say them.

    Example:
        >>> plain("--count INT --label INT... --method STR --out PATH")
        '--count INTEGER --label INTEGER... --method TEXT --out PATH'
    """
    return text and re.sub(r"\b(INT|STR)\b", lambda found: _PLAIN[found[0]], text)


_PLAIN = {"INT": "INTEGER", "STR": "TEXT"}
