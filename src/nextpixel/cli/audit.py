"""`nextpixel audit`: who sees whom, by exact derivatives; status 1 if any step sees its future."""

from json import dumps
from math import prod
from pathlib import Path

import nextpixel as npx
from nextpixel import gallery
from nextpixel.cli.inputs import check_out
from nextpixel.cli.progress import counting
from nextpixel.errors import NextPixelError


def audit(
    model: str,
    /,
    *,
    out: Path | None = None,
    probes: int = 2,
    seed: int = 0,
    json: bool = False,
) -> None:
    """Prove that no pixel sees itself or a later one.

    Args:
        model: Folder of a model, or the name of a shipped one.
        out: Picture (.png) of what the step in the middle sees, with its blind spot.
        probes: Random images to try, the first with the model's own weights, the others with
            weights drawn anew.
        seed: Of the random images.
        json: Print one JSON object.
    """
    if out is not None:
        check_out(out, (".png",))
    if probes < 1:
        raise ValueError(f"probes must be at least 1, got {probes}")
    loaded = npx.load(model)
    with counting(probes * prod(loaded.shape), "step") as count:
        found = npx.audit(loaded, probes=probes, seed=seed, on_progress=count)
    if out is not None:
        step = found.centre()
        field = gallery.receptive_field(found.field(step), step, blind=found.blind(step))
        gallery.save(field, out)
    print(dumps(found.as_dict()) if json else found.summary())
    if not found.causal:
        raise NextPixelError(
            f"{model} is not causal: {len(found.leaks())} pairs of steps leak, so its likelihoods "
            "are no likelihoods"
        )
