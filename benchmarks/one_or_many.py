"""One large picture against the same pixels in small ones: seconds to encode and to decode.

    python benchmarks/one_or_many.py                a picture of 256 x 256 in RGB, 64 of 32 x 32
    python benchmarks/one_or_many.py --side 64 --rounds 1      a rehearsal

Small nets that were not trained: speed does not depend on the weights. Medians; every archive is
decoded and compared.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
from record import hardware

import nextpixel as npx

NETS = {
    "gated-pixelcnn": {"features": 24, "layers": 2},
    "residual-pixelcnn": {"features": 48, "blocks": 4},
    "windowed-pixelcnn": {"features": 24, "layers": 1},
}
TILE = 32


def seconds(work: Callable[[], object], rounds: int) -> float:
    """The median; the first call, which compiles, does not count."""
    work()
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def measure(model: npx.PixelModel, images: torch.Tensor, rounds: int) -> dict[str, float]:
    """Seconds to encode images and to decode them."""
    data = npx.compress(model, images)
    if not torch.equal(npx.decompress(model, data), images):
        raise SystemExit("an archive did not decode to the images it was made from")
    return {
        "encode": seconds(lambda: npx.compress(model, images), rounds),
        "decode": seconds(lambda: npx.decompress(model, data), rounds),
    }


def main() -> None:
    """Print a table, and one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    side, rng = arguments.side, torch.Generator().manual_seed(0)
    whole = torch.randint(256, (1, 3, side, side), dtype=torch.uint8, generator=rng)
    tiles = whole.unfold(2, TILE, TILE).unfold(3, TILE, TILE).permute(0, 2, 3, 1, 4, 5)
    pictures = {"one": whole, "tiles": tiles.reshape(-1, 3, TILE, TILE).contiguous()}
    print(f"{'net':20} {'pictures':8} {'encode s':>9} {'decode s':>9} {'decode / encode':>16}")
    found = {}
    for name, options in NETS.items():
        model = npx.build(name, shape=(3, TILE, TILE), levels=256, seed=0, **options)
        for which, images in pictures.items():
            figures = measure(model, images, arguments.rounds)
            encode, decode = figures["encode"], figures["decode"]
            found[f"{name}, {which}"] = figures
            print(
                f"{name:20} {which:8} {encode:9.2f} {decode:9.2f} {decode / encode:16.2f}",
                flush=True,
            )
    print(json.dumps({"hardware": hardware(), "side": side, **found}))


if __name__ == "__main__":
    main()
