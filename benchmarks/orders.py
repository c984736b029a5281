"""What several scan orders are worth: each, their mixture, the best of them, and archives.

    python benchmarks/orders.py [--model mnist-orders] [--images 10000] [--archives 2000]

Nats an image of the test images of MNIST (dynamic protocol): in each order, of the mixture of all
(log-mean-exp), and in the best order of each image with what it takes to say which. Then bytes of
archives by the model's own order and by the best. The mixture is never worse than the best of the
orders with its price; the codec can only have the latter.
"""

import argparse
import math

import torch
from torch import Tensor

import nextpixel as npx
from nextpixel.likelihood import mean_and_error, part_log_probs, part_masks, read_orders
from nextpixel.models import PixelModel


def nats_by_order(model: PixelModel, levels: Tensor) -> Tensor:
    """Of every image in every order, float64, (orders, N)."""
    masks = part_masks(model)
    return torch.stack(
        [
            -part_log_probs(
                model, levels, None, masks, batch_size=100, order=order, on_progress=None
            ).sum(1)
            for order in read_orders(model, "all")
        ]
    )


def line(name: str, nats: Tensor) -> str:
    """Of the table."""
    mean, error = mean_and_error(nats)
    return f"| {name} | {mean:.2f} +- {error:.2f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="mnist-orders")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--archives", type=int, default=2_000)
    chosen = parser.parse_args()
    model = npx.load(chosen.model)
    levels = npx.load_data("mnist", levels=2, protocol="dynamic").test.levels[: chosen.images]
    found = nats_by_order(model, levels.long())
    count = len(found)
    print(f"{chosen.model}, {len(levels):,} test images, nats an image")
    for number, nats in enumerate(found):
        print(line(f"order {number}", nats))
    print(line(f"mixture of {count}", math.log(count) - (-found).logsumexp(0)))
    print(line(f"best of {count}, with log {count}", found.amin(0) + math.log(count)))
    some = levels[: chosen.archives]
    own = len(npx.compress(model, some))
    if model.any_order:
        print(f"archive of {len(some):,} images: {own:,} bytes")
        return
    best = npx.compress(model, some, orders="best")
    assert torch.equal(npx.decompress(model, best).long(), some.long())
    print(
        f"archives of {len(some):,} images: {own:,} bytes by its own order, {len(best):,} by the "
        f"best ({len(best) / own - 1:+.2%})"
    )


if __name__ == "__main__":
    main()
