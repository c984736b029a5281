"""Make the shipped mixtures, and measure them on their whole test sets.

    python benchmarks/ship_mixtures.py                 all of them, about half an hour on one core
    python benchmarks/ship_mixtures.py NAME ...        these

Nothing is trained. A shipped mixture has no weights of its own: it names shipped models. Cards are
written by `benchmarks/cards.py`.
"""

import argparse
import json

import nextpixel as npx
from nextpixel.checkpoint import SHIPPED, read_config
from nextpixel.config import build
from nextpixel.data import Split, load_config
from nextpixel.data.config import DataConfig

MIXTURES = {
    "mnist-mixture": ("mnist-fast-class", "mnist-laptop"),
    "mnist256-mixture": ("mnist256-fast-class", "mnist256-fast"),
}
"""Each with the shipped models that it is made of."""


def ship(name: str) -> None:
    """Write the folder of a mixture, with its figure."""
    parts = MIXTURES[name]
    model = npx.mixture([npx.load(part) for part in parts])
    data = read_config(SHIPPED / parts[0])["data"]
    found = npx.evaluate(model, test_set(data))
    npx.save(model, SHIPPED / name, data=data, evaluation=found.as_dict(), shipped=parts)
    print(f"{name}: {found}")
    print(json.dumps({"name": name, **found.as_dict()}))


def test_set(trained: dict[str, object]) -> Split:
    """The test images of the data that a part was trained on."""
    kept = {key: value for key, value in trained.items() if key in DataConfig.__dataclass_fields__}
    return load_config(build(DataConfig, kept)).test


def main() -> None:
    parser = argparse.ArgumentParser(description="Make and measure the shipped mixtures.")
    parser.add_argument("names", nargs="*", choices=[*MIXTURES, []], metavar="NAME")
    for name in parser.parse_args().names or MIXTURES:
        ship(name)


if __name__ == "__main__":
    main()
