"""Seed 002: gated PixelCNN: no blind spot, conditional, and as the decoder of an auto-encoder.

    python examples/seed_002.py            4,300 steps of 64 images, 3 x 2,000 of 16
    python examples/seed_002.py --quick    tiny nets, 15 steps: seconds, and noise for digits

A model that was trained before, in runs/RECIPE, or that comes with the package is taken as it is.

What the document shows, in `runs/seed_002`: the blind spot of stacked masked 3x3 kernels, and that
two stacks have none; the animation of samples during training at 4 levels; samples by class,
in the gate and by a map s = m(h); and an auto-encoder whose decodings of one code vary.
"""

from pathlib import Path

from common import TINY, audited, by_class, draw, keep, options, scores, train, trained

import nextpixel as npx
from nextpixel import gallery

ANIMATED, AUTOENCODER = "mnist4-gated", "mnist2-autoencoder"
CONDITIONAL = ("mnist2-gated-class", "mnist2-gated-spatial")
SMALL = (*TINY, "--model.features", "8", "--model.layers", "1", "--model.first_side", "5")
QUICK = (*SMALL, "--train.previews", "0")
QUICK_ANIMATED = (*SMALL, "--train.preview_every", "8", "--train.preview_count", "4")


def blind_spots(out: Path) -> None:
    """The fields of 3x3 kernels, five layers deep, in one stack and in two."""
    size = {"shape": (1, 13, 13), "levels": 4, "features": 8, "side": 3}
    plain = npx.build("pixelcnn", seed=0, layers=5, **size)
    gated = npx.build("gated-pixelcnn", seed=0, layers=4, first_side=3, **size)
    for name, model in (("one masked stack", plain), ("two gated stacks", gated)):
        found = audited(model)
        step = found.centre()
        seen, blind = found.field(step), found.blind(step)
        text = f"{name}: sees {int(seen.sum())} pixels, blind to {int(blind.sum())}"
        picture = gallery.receptive_field(seen, step, blind=blind)
        keep(picture, out / f"{name.replace(' ', '-')}.png", text)


def reconstruct(model: npx.models.PixelModel, images: int, each: int, out: Path) -> None:
    """Inputs, and several images drawn from the code of each."""
    data = npx.load_data("mnist", levels=2, limit=max(images, 100)).test
    originals = data.levels[:images]
    codes = model.own_condition(originals.repeat_interleave(each, 0))
    decodings = draw(model, images * each, codes).unflatten(0, (images, each))
    picture = gallery.reconstructions(originals, decodings, model.levels)
    keep(picture, out / "reconstructions.png", "input | decodings of its code")
    print(f"does the decoder listen to the code? {npx.health(model, data)}")


def main() -> None:
    out, quick = options("002", __doc__ or "")
    blind_spots(out)
    train(ANIMATED, out, *(QUICK_ANIMATED if quick else ()))
    animation = trained(ANIMATED, out) / "training.gif"
    if animation.exists():
        print(f"{animation}: the same noise, sampled as training goes on")
    for recipe in CONDITIONAL:
        model = train(recipe, out, *(QUICK if quick else ()))
        keep(by_class(model, 10, 1 if quick else 5), out / f"{recipe}.png", "a column a digit")
    model = train(AUTOENCODER, out, *(QUICK if quick else ()))
    reconstruct(model, *((2, 3) if quick else (10, 6)), out)
    scores(out, ANIMATED, *CONDITIONAL, AUTOENCODER)
    print("the auto-encoder is given a code made from the image: its figure is no likelihood")


if __name__ == "__main__":
    main()
