"""The table of `docs/wrong-calls.md`: calls of the command line, and what it answers.

`python -m tests.strangers.answers` writes the answers anew, after a message has been changed: read
the difference before it is committed.
"""

import contextlib
import io
import os
import re
import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path

from nextpixel.cli.app import main
from tests.strangers import world

PAGE = Path(__file__).parents[2] / "docs" / "wrong-calls.md"
ROW = re.compile(
    r"^\| `(?P<call>[^`]+)` \| (?P<status>\d) \| (?P<quote>`+) ?(?P<answer>.*?) ?(?P=quote) \|$"
)
REST = " ..."
"""Where an answer goes on with what another library says, or with a long list of names."""


@dataclass(frozen=True)
class Row:
    """A call, its exit status, and its answer without "nextpixel: error: "."""

    call: str
    status: int
    answer: str

    def __str__(self) -> str:
        """A line of the table."""
        quote, room = ("``", " ") if "`" in self.answer else ("`", "")
        return f"| `{self.call}` | {self.status} | {quote}{room}{self.answer}{room}{quote} |"

    def fits(self, found: "Row") -> bool:
        """Whether this is what was answered."""
        same = (self.call, self.status) == (found.call, found.status)
        if self.answer.endswith(REST):
            return same and found.answer.startswith(self.answer.removesuffix(REST))
        return same and found.answer == self.answer


def rows(text: str) -> list[Row]:
    """The rows of a page."""
    found = [match for line in text.splitlines() if (match := ROW.match(line))]
    return [Row(match["call"], int(match["status"]), match["answer"]) for match in found]


def ask(call: str) -> tuple[Row, str]:
    """Make a call in the current folder: its row, and what else it printed."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(shlex.split(call)[1:])
    first, _, rest = err.getvalue().removesuffix("\n").partition("\n")
    return Row(call, status, first.removeprefix("nextpixel: error: ")), out.getvalue() + rest


def may_all(row: Row) -> bool:
    """Whether the call is refused for lack of permission, and this user may do everything."""
    return "sealed" in row.call and os.access("sealed", os.W_OK)


def rewrite(text: str) -> str:
    """The page with the answers of today; one that breaks off where it did stays as it is."""

    def again(match: re.Match[str]) -> str:
        (row,) = rows(match[0])
        if may_all(row):
            return match[0]
        found, _ = ask(row.call)
        return match[0] if row.fits(found) else str(found)

    return re.sub(ROW.pattern, again, text, flags=re.MULTILINE)


if __name__ == "__main__":
    before = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        world.build(Path(folder))
        os.chdir(folder)
        PAGE.write_text(rewrite(before), encoding="utf-8")
