"""`nextpixel mix`: one model of several, or of one whose class is summed out."""

import json
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

import nextpixel as npx
from nextpixel import checkpoint
from nextpixel.cli.inputs import check_folder
from nextpixel.data import names as named_sets
from nextpixel.models import Mixture

SAME = ("name", "levels", "protocol")
"""What of their data must be alike for a mixture to be measured on the data of the first."""


def mix(
    model: str,
    /,
    *others: str,
    out: Path,
    refer: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Make one model of several, or of one whose class is to be summed out.

    A class-conditional model has its class summed out, pixel by pixel: labels were needed to train
    it, and are not needed any more. Of several models the logarithms of the probabilities are
    averaged. Nothing is trained.

    Args:
        model: Folder of a model, or the name of a shipped one.
        *others: More of them, of the same images.
        out: Folder to write the mixture to.
        refer: Write no weights, only the names of the models, which must be shipped ones.
    """
    names = (model, *others)
    made = npx.mixture([npx.load(name) for name in names])
    if made.classes == (0,):
        raise ValueError(
            f"mix must have several models, or one with a class to sum out, got {model} alone"
        )
    check_folder(out)
    npx.save(made, out, data=shared_data(names), shipped=names if refer else ())
    print(f"{out}: {in_words(made)}")


def shared_data(names: tuple[str, ...]) -> dict[str, Any]:
    """What the first of some models was trained on; empty where another differs in it."""
    found = [checkpoint.read_config(checkpoint.find(name))["data"] for name in names]
    own = any(data.get("name") not in named_sets() for data in found)
    keys = (*SAME, "seed") if own else SAME  # else one was trained on test images of another
    alike = {json.dumps([data.get(key) for key in keys]) for data in found}
    return dict(found[0]) if len(alike) == 1 else {}


def in_words(made: Mixture) -> str:
    """What a mixture is made of, for people."""
    parts = [
        f"{net.name} ({classes} classes summed out)" if classes else net.name
        for net, classes in zip(made.nets, made.classes, strict=True)
    ]
    count = sum(weight.numel() for weight in made.parameters())
    return f"a mixture of {', '.join(parts)}; {count:,} parameters"
