"""Notebooks of the scripts that are written as such: first_digit.py and look_inside.py.

    python examples/build_notebooks.py --out examples/notebooks

They hold no outputs, and are the same bytes each time. It takes seconds, and needs jupytext.
"""

import argparse
from pathlib import Path

import jupytext

NAMES = ("first_digit", "look_inside")
HERE = Path(__file__).parent


def notebook(name: str) -> str:
    """The text of a notebook."""
    book = jupytext.read(HERE / f"{name}.py")
    book.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}
    }
    for number, cell in enumerate(book.cells):
        cell["id"] = f"{name}-{number}"  # else drawn at random
        cell["metadata"] = {}
    return jupytext.writes(book, fmt="ipynb")


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the notebooks.")
    parser.add_argument("--quick", action="store_true", help="the same: nothing here is slow")
    parser.add_argument("--out", type=Path, default=Path("runs/notebooks"), help="folder")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        path = out / f"{name}.ipynb"
        path.write_text(notebook(name), encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
