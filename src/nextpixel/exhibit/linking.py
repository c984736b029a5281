"""Modules of JavaScript joined into one classic script.

Browsers load no module from the disk. Ours use few forms: imports of names from files next to them,
and exports of functions, classes and constants at the beginning of a line. Each module becomes a
function that returns what it exports, called once, after those it imports. What is of another form
is refused.
"""

import re
from collections.abc import Mapping

IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([\w.-]+)";$', re.MULTILINE)
EXPORT = re.compile(r"^export ((?:async )?(?:function\*?|class|const) (\w+))", re.MULTILINE)
OTHER = re.compile(r"^(?:import|export)\b.*$|\bimport\(.*$|\bimport\.meta.*$", re.MULTILINE)


def linked(entry: str, sources: Mapping[str, str]) -> str:
    r"""One script that does what the module `entry` does.

    Args:
        entry: Name of a module.
        sources: Texts of modules by their names.

    Raises:
        ValueError: If a module is missing, imports itself by a circle, imports a name that is not
            exported, or is written in another form.

    Example:
        >>> print(linked("a.js", {"a.js": 'import { b } from "./b.js";\nb();\n',
        ...                       "b.js": "export function b() {}\n"}))
        (() => {
        "use strict";
        const m0 = (() => {
        function b() {}
        return { b };
        })();
        const m1 = (() => {
        const { b } = m0;
        b();
        return {  };
        })();
        })();
        <BLANKLINE>
    """
    order = modules(entry, sources)
    exported = {name: exports(sources[name]) for name in order}
    numbers = {name: number for number, name in enumerate(order)}
    parts = [_module(name, sources[name], numbers, exported) for name in order]
    return '(() => {\n"use strict";\n' + "".join(parts) + "})();\n"


def modules(entry: str, sources: Mapping[str, str], path: tuple[str, ...] = ()) -> list[str]:
    """A module and all that it imports, each after those it imports itself; errors as `linked`."""
    if entry in path:
        raise ValueError(f"modules must not import in a circle, got {' -> '.join([*path, entry])}")
    if entry not in sources:
        raise ValueError(
            f"there is no module {entry}, which {path[-1] if path else 'is'} asked for"
        )
    found: list[str] = []
    for _, name in IMPORT.findall(sources[entry]):
        found += [one for one in modules(name, sources, (*path, entry)) if one not in found]
    return [*found, entry]


def exports(source: str) -> list[str]:
    """Names that a module exports."""
    return [name for _, name in EXPORT.findall(source)]


def _module(
    name: str, source: str, numbers: Mapping[str, int], exported: Mapping[str, list[str]]
) -> str:
    def read(found: re.Match[str]) -> str:
        wanted = [word.strip() for word in found[1].split(",") if word.strip()]
        missing = [word for word in wanted if word not in exported[found[2]]]
        if missing:
            raise ValueError(f"{name} imports {missing[0]!r}, which {found[2]} does not export")
        return f"const {{ {', '.join(wanted)} }} = m{numbers[found[2]]};"

    body = EXPORT.sub(r"\1", IMPORT.sub(read, source))
    other = OTHER.search(body)
    if other:
        raise ValueError(f"{name} must import and export by names only, got {other[0]!r}")
    made = f"return {{ {', '.join(exported[name])} }};"
    return f"const m{numbers[name]} = (() => {{\n{body}{made}\n}})();\n"
