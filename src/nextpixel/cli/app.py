"""The command itself: which commands there are, options from files, and exit statuses.

Status 0: done. 1: the job failed. 2: bad arguments. 128 + signal: interrupted. A failure is one
line on standard error, without a traceback unless `--debug` asks for it. Commands are imported when
they are called, so that `nextpixel --help` costs no torch.
"""

import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Group, Parameter

import nextpixel
from nextpixel.cli.examples import epilogue, overview
from nextpixel.cli.options import OptionFile
from nextpixel.errors import TOLD_TO_ALL, NextPixelError

_HERE = "nextpixel.cli"
_BROKEN_PIPE = 128 + 13  # a number, since not every system has the signal
_COURTESY = 10.0
"""Seconds that the other processes of a launcher leave the first to say what went wrong: the
launcher ends them all as soon as one has failed."""
_COMMANDS = {
    "train": ("train:train", "Train the model of a recipe, or go on with a run that was stopped."),
    "evaluate": ("evaluate:evaluate", "Measure the exact likelihood of a data set."),
    "sample": ("sample:sample", "Draw images from a model."),
    "complete": (
        "complete:complete",
        "Draw the missing part of images.\n\n"
        "A missing pixel is drawn given the pixels before it, row by row from the top left. Those "
        "known after it in that order are kept, but cannot inform it: a known top shapes the "
        "bottom of a digit, a known bottom does not shape its top.",
    ),
    "reconstruct": (
        "reconstruct:reconstruct",
        "Draw images again from the codes that an auto-encoder gives them.",
    ),
    "compress": (
        "compress:compress",
        "Compress images without loss, by what the model predicts.\n\n"
        "A model compresses what is like its training images: one trained on digits takes far more "
        "for photographs than PNG does (--verbose compares). Images larger than the model's are "
        "coded whole if it is convolutional throughout, else in tiles.",
    ),
    "decompress": ("decompress:decompress", "Write back what was compressed, to the pixel."),
    "info": ("decompress:info", "Say what a compressed file holds; reads its header only."),
    "audit": (
        "audit:audit",
        "Prove that no pixel sees itself or a later one; status 1 if one does.",
    ),
    "recipes": ("listing:recipes", "List the recipes, or show one."),
    "models": (
        "listing:models",
        "List the models shipped trained and those that can be built, or show one's card.",
    ),
    "data": ("listing:data", "List the data sets."),
    "serve": ("serve:serve", "Open the playground: these models in a browser."),
    "runs": ("runs:runs", "List the runs below a folder with their best figures."),
}

app = App(
    name="nextpixel",
    help="Exact autoregressive image models: train, score, sample, complete, compress, audit.",
    version=nextpixel.__version__,
    help_epilogue=overview(),
)
_OPTIONS = Group("Options", sort_key=1)
for _name, (_path, _help) in _COMMANDS.items():
    app.command(
        f"{_HERE}.{_path}",
        name=_name,
        help=_help,
        help_epilogue=epilogue(_name),
        group_parameters=_OPTIONS,
    )
app.meta.group_parameters = Group("For every command", sort_key=9)
app.meta.suppress_keyboard_interrupt = False  # `main` answers it


@app.meta.default
def launch(
    *words: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    config: Path | None = None,
    debug: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Run one command.

    Args:
        *words: The command and its own options.
        config: YAML or TOML file of options; those on the command line win.
        debug: Show the traceback of an error.

    Returns:
        The exit status.
    """
    del debug  # `main` looks for it, since it must hold before anything is parsed
    file = OptionFile.read(config)
    app.config = (file,)  # asked by cyclopts while it parses
    try:
        command, bound, hidden = app.parse_args(words, exit_on_error=False, print_error=False)
    finally:
        app.config = ()
    if "file" in hidden:
        bound.arguments["file"] = file
    return int(command(*bound.args, **bound.kwargs) or 0)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: Words after `nextpixel`; None takes those of the process.

    Returns:
        The exit status.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    warnings.showwarning = _warn
    try:
        status = app.meta(
            words, exit_on_error=False, print_error=False, result_action="return_value"
        )
        sys.stdout.flush()
        return int(status or 0)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    except BaseException as error:
        if "--debug" in words:
            traceback.print_exc()
        return _status(error)


def _status(error: BaseException) -> int:
    """Say what went wrong, in one line, and give the exit status for it."""
    if isinstance(error, BrokenPipeError):
        _forget_stdout()
        return _BROKEN_PIPE
    if isinstance(error, KeyboardInterrupt):
        if _process() == 0:
            print("nextpixel: interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    status, text = _words(error)
    if _process() == 0 or not _said_elsewhere(error, status):
        _complain(text)
    else:
        time.sleep(_COURTESY)
    return status


def _words(error: BaseException) -> tuple[int, str]:
    """The exit status for an error, and what to say of it."""
    if isinstance(error, NextPixelError | OSError | MemoryError):
        return 1, str(error) or type(error).__name__
    if isinstance(error, CycloptsError | ValueError | TypeError):
        return 2, str(error)
    return 1, f"{type(error).__name__}: {error} (--debug shows where)"


def _said_elsewhere(error: BaseException, status: int) -> bool:
    """Whether the first process of the launcher has met, or was told of, the same error."""
    return status == 2 or TOLD_TO_ALL in getattr(error, "__notes__", ())


def _complain(text: str) -> None:
    where = f" in process {_process()}" if _process() else ""
    print(f"nextpixel: error{where}: {' '.join(text.split())}", file=sys.stderr)


def _process() -> int:
    """Number of this process among those that a launcher such as torchrun started; else 0."""
    number = os.environ.get("RANK", "") if "WORLD_SIZE" in os.environ else ""
    return int(number) if number.isdecimal() else 0


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    """A warning in one line, like an error, without the place in our code that gave it."""
    if _process() == 0:
        print(f"nextpixel: warning: {message}", file=sys.stderr)


def _forget_stdout() -> None:
    """Whoever read our output has left: do not let Python complain about it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
