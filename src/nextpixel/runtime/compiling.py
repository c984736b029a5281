"""Compiled functions, kept on the disk between starts where there is a place for it."""

import hashlib
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache, wraps
from pathlib import Path
from typing import Any

from numba import njit, typeof, types
from numba.core import cgutils
from numba.extending import intrinsic

inlined = njit(nogil=True, error_model="numpy", forceinline=True)
"""Compile a function as part of those that call it."""


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function when it is first called, and keep the result on the disk if possible."""
    try:
        made: Any = njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError as error:  # no folder to keep it in
        _tell(str(error))
        return njit(nogil=True, error_model="numpy")(function)
    kept = made._cache
    kept._cache_file._source_stamp = _stamp(function)
    kept.save_overload = _forgiving(kept.save_overload)
    kept.load_overload = _distrusting(kept.load_overload, kept._cache_file)
    return made  # type: ignore[no-any-return]


def address_of(function: Callable[..., Any], *arguments: Any) -> int:  # noqa: ANN401
    """Where a compiled function lies, for `call_at`; it must return nothing.

    Args:
        function: From `compiled`; it must be kept alive.
        *arguments: Of the types that it will be called with.
    """
    dispatcher: Any = function
    signature = tuple(map(typeof, arguments))
    if signature not in dispatcher.overloads:
        dispatcher.compile(signature)
    made = dispatcher.overloads[signature]
    address: int = made.library.get_pointer_to_function(made.fndesc.llvm_func_name)
    return address


@intrinsic
def call_at(typingctx: Any, address: Any, argument: Any) -> Any:  # noqa: ANN401 - numba's own
    """Call the compiled function at an address with one argument, in compiled code."""
    signature = types.void(types.int64, argument)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:  # noqa: ANN401
        kinds = signature.args[1:]
        function = context.call_conv.get_function_type(types.none, kinds)
        pointer = builder.inttoptr(values[0], function.as_pointer())
        context.call_conv.call_function(builder, pointer, types.none, kinds, [values[1]])
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def unowned(typingctx: Any, value: Any) -> Any:  # noqa: ANN401 - numba's own
    """The same array, or tuple of such, without a count of who uses it, in compiled code.

    Handing an array on counts twice, by atomic instructions; somebody else must keep this one.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:  # noqa: ANN401
        return _disown(context, builder, signature.args[0], values[0])

    return value(value), generate


def _disown(context: Any, builder: Any, kind: Any, value: Any) -> Any:  # noqa: ANN401
    """What `unowned` makes of a value of a type."""
    if isinstance(kind, types.BaseTuple):
        parts: Any = kind
        for index, part in enumerate(parts):
            found = _disown(context, builder, part, builder.extract_value(value, index))
            value = builder.insert_value(value, found, index)
    if not isinstance(kind, types.Array):
        return value
    made = context.make_array(kind)(context, builder, value)
    made.meminfo = cgutils.get_null_value(made.meminfo.type)  # type: ignore[no-untyped-call]
    made.parent = cgutils.get_null_value(made.parent.type)  # type: ignore[no-untyped-call]
    return made._getvalue()


def _forgiving(save: Callable[..., None]) -> Callable[..., None]:
    """Compiled code that cannot be kept, as on a full disk, can still be run."""

    @wraps(save)
    def attempt(*arguments: Any) -> None:  # noqa: ANN401 - numba's own
        try:
            save(*arguments)
        except OSError as error:
            _tell(str(error))

    return attempt


def _distrusting(load: Callable[..., Any], file: Any) -> Callable[..., Any]:  # noqa: ANN401
    """What an earlier version kept, and this one cannot read, is compiled again."""

    @wraps(load)
    def attempt(*arguments: Any) -> Any:  # noqa: ANN401 - numba's own
        try:
            return load(*arguments)
        except Exception:  # whatever reading a pickle of another version may raise
            with suppress(OSError):
                file.flush()  # an empty index
            return None

    return attempt


@cache
def _warn(kind: str) -> None:
    """Say it once a process."""
    warnings.warn(kind, stacklevel=5)


def _tell(reason: str) -> None:
    where = reason.split(" for file ")[-1]
    _warn(
        f"compiled code cannot be kept ({where}), so each start takes some 15 s more; set "
        "NUMBA_CACHE_DIR to a folder that can be written"
    )


def _stamp(function: Callable[..., Any]) -> str:
    """What compiled code was made from: all files that may be part of it; numba minds one only."""
    digest = hashlib.sha256()
    for folder in sorted(_folders(function)):
        for path in sorted(folder.glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _folders(function: Callable[..., Any]) -> set[Path]:
    """Where a function lies, where this file does, and where what its file imports does."""
    used = (getattr(value, "__module__", None) for value in function.__globals__.values())
    package = __name__.split(".")[0] + "."
    names = {name for name in used if isinstance(name, str) and name.startswith(package)}
    modules = (sys.modules[name] for name in {function.__module__, __name__, *names})
    return {Path(module.__file__).parent for module in modules if module.__file__}
