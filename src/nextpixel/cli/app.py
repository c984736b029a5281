"""The command itself: which commands there are, options from files, and exit statuses.

Status 0: done. 1: the job failed. 2: bad arguments. 128 + signal: interrupted. A failure is one
line on standard error, without a traceback unless `--debug` asks for it. Commands are imported when
they are called, so that `nextpixel --help` costs no torch.

Of several processes that meet the same error, one says it. What all of them raise alike is the
first one's to say, and they leave it the time. Anything else is said by whichever comes first, so
that an error of one process alone is never lost in the silence of the others.
"""

import os
import signal
import sys
import time
import traceback
import warnings
import zlib
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Group, Parameter

import nextpixel
from nextpixel.cli.help import PlainFormatter, complaint, epilogue, overview
from nextpixel.cli.options import OptionFile
from nextpixel.errors import RAISED_BY_ALL, LostTouch, NextPixelError

_BROKEN_PIPE = 128 + 13  # a number, since not every system has the signal
_GRACE = 10.0
"""Seconds that the other processes leave the first to say what went wrong: torchrun ends them all
as soon as one has failed."""
_HERE = "nextpixel.cli"
_COMMANDS = {
    "train": ("train:train", "Train the model of a recipe, or go on with a run that was stopped."),
    "mix": (
        "mix:mix",
        "Make one model of several, or of one whose class is summed out.\n\n"
        "A class-conditional model has its class summed out, pixel by pixel: labels were needed to "
        "train it, and are not needed any more. Of several models the logarithms of the "
        "probabilities are averaged. Nothing is trained.",
    ),
    "evaluate": ("measure:evaluate", "Measure the exact likelihood of a data set."),
    "sample": ("draw:sample", "Draw images from a model."),
    "complete": (
        "draw:complete",
        "Draw the missing part of images.\n\n"
        "A missing pixel is drawn given the pixels before it in the scan. Most models scan row by "
        "row from the top left: a known top shapes the bottom of a digit, a known bottom is kept, "
        "but shapes its top only with --method particles. Models of several orders (mnist-orders) "
        "take the one in which most known pixels come first; models of any order "
        "(mnist-any-order) visit all that is known first.",
    ),
    "reconstruct": (
        "draw:reconstruct",
        "Draw images again from the codes that an auto-encoder gives them.",
    ),
    "compress": (
        "codec:compress",
        "Compress images without loss, by what the model predicts.\n\n"
        "A model compresses what is like its training images: one trained on digits takes far more "
        "for photographs than PNG does (--verbose compares). Images larger than the model's are "
        "coded whole if it is convolutional throughout, else in tiles.",
    ),
    "decompress": ("codec:decompress", "Write back what was compressed, to the pixel."),
    "info": ("codec:info", "Say what a compressed file holds; reads its header only."),
    "audit": (
        "measure:audit",
        "Prove that no pixel sees itself or a later one; status 1 if one does.",
    ),
    "recipes": ("listing:recipes", "List the recipes, or show one."),
    "models": (
        "listing:models",
        "List the models shipped trained and those that can be built, or show one's card.",
    ),
    "data": ("listing:data", "List the data sets."),
    "serve": ("serve:serve", "Open the playground: these models in a browser."),
    "exhibit": (
        "exhibit:exhibit",
        "Write a page that draws, completes and looks inside without a server.\n\n"
        "Plain files that open from the disk and can be hosted anywhere. The model is carried out "
        "in the page, and draws the very levels that Python's engine draws by the same uniforms.",
    ),
    "runs": ("listing:runs", "List the runs below a folder with their best figures."),
}

app = App(
    name="nextpixel",
    help="Exact autoregressive image models: train, score, sample, complete, compress, audit.",
    version=nextpixel.__version__,
    help_epilogue=overview(),
    help_formatter=PlainFormatter(),
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
Modules = Annotated[
    tuple[str, ...],
    Parameter(name="--import", negative="", metavar="MODULE", show_default=False),
]
app.meta.group_parameters = Group("For every command", sort_key=9)
app.meta.suppress_keyboard_interrupt = False  # `main` answers it


@app.meta.default
def launch(
    *words: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    config: Path | None = None,
    import_: Modules = (),
    debug: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Run one command.

    Args:
        *words: The command and its own options.
        config: YAML or TOML file of options; those on the command line win.
        import_: Python module to import first, from here or installed: one that registers a model
            of your own.
        debug: Show the traceback of an error.

    Returns:
        The exit status.
    """
    del debug  # `main` looks for it, since it must hold before anything is parsed
    import_modules(import_)
    file = OptionFile.read(config)
    app.config = (file,)  # asked by cyclopts while it parses
    try:
        command, bound, hidden = app.parse_args(words, exit_on_error=False, print_error=False)
    finally:
        app.config = ()
    if "file" in hidden:
        bound.arguments["file"] = file
    return int(command(*bound.args, **bound.kwargs) or 0)


def import_modules(names: Sequence[str]) -> None:
    """Import modules, from the current folder too, as `python -m` does.

    Raises:
        ValueError: If one cannot be imported.
    """
    if names and "" not in sys.path:
        sys.path.insert(0, "")
    for name in names:
        try:
            import_module(name)
        except Exception as error:
            kind = "" if isinstance(error, ImportError) else f"{type(error).__name__}: "
            raise ValueError(f"import must name a module, got {name!r}: {kind}{error}") from error


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: Words after `nextpixel`; None takes those of the process.

    Returns:
        The exit status.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    warnings.showwarning = warn
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
        return answer(error)


def answer(error: BaseException) -> int:
    """Say what went wrong, in one line, and give the exit status for it."""
    if isinstance(error, BrokenPipeError):
        _forget_stdout()
        return _BROKEN_PIPE
    if isinstance(error, KeyboardInterrupt):
        if _rank() == 0:
            print("nextpixel: interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    status, text = _words(error)
    if RAISED_BY_ALL in getattr(error, "__notes__", ()):
        if _rank() == 0:
            _say(text)
        else:
            time.sleep(_GRACE)
    elif _says_first("lost touch" if isinstance(error, LostTouch) else text):
        _say(text, alone=status != 2)
    return status


def warn(message: Warning | str, *_: object, **__: object) -> None:
    """A warning in one line, like an error, without the place in our code that gave it."""
    if _rank() == 0:
        print(f"nextpixel: warning: {message}", file=sys.stderr)


def _rank() -> int:
    """Number of this process among those that torchrun has started; 0 without it."""
    word = os.environ.get("RANK", "")
    return int(word) if "WORLD_SIZE" in os.environ and word.isdecimal() else 0


def _says_first(text: str) -> bool:
    """Whether no other process that was started on this machine has said a text before.

    torchrun has a folder for each attempt, where each process has a place for its errors; the first
    to say a text leaves a mark there. Without such a folder each process prints its own.
    """
    place = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if os.environ.get("WORLD_SIZE", "1") == "1" or not place:
        return True
    try:
        (Path(place).parents[1] / f"said-{zlib.crc32(text.encode()):08x}").touch(exist_ok=False)
    except FileExistsError:
        return False
    except OSError:
        return True
    return True


def _words(error: BaseException) -> tuple[int, str]:
    """The exit status for an error, and what to say of it."""
    if isinstance(error, NextPixelError | OSError | MemoryError):
        return 1, str(error) or type(error).__name__
    if isinstance(error, CycloptsError):
        return 2, complaint(error)
    if isinstance(error, ValueError | TypeError):
        return 2, str(error)
    return 1, f"{type(error).__name__}: {error} (--debug shows where)"


def _say(text: str, *, alone: bool = False) -> None:
    where = f" in process {_rank()}" if alone and _rank() else ""
    print(f"nextpixel: error{where}: {' '.join(text.split())}", file=sys.stderr, flush=True)


def _forget_stdout() -> None:
    """Whoever read our output has left, and Python must not report it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
