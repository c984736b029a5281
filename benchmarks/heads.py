"""The heads at every depth: do they sum to one, how near they come to a known distribution, time.

    python benchmarks/heads.py [--rounds 5]

For each head and number of levels: the largest error of the sum over all levels for extreme
parameters, in float64; how many bits more than its entropy a pixel of photons takes (1,200 expected
photons, see `nextpixel.data.sources.photons`, quantised) once the head's parameters are fitted to
its distribution; and microseconds a sub-pixel to draw and to code, in a net that does next to
nothing else, on one thread.
"""

import argparse
import itertools
import math
import os
import statistics
import time

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from torch import Tensor

import nextpixel as npx
from nextpixel.data.sources import photons
from nextpixel.heads import Categorical, LogisticHead, LogisticMixture

DEPTHS = (16, 256, 1024, 4096, 16384, 65536)
MEANS, SCALES = (-1e9, -3.0, 0.3, 1e9), (1e-8, 1e-3, 1.0, 1e3, 1e8)


def sum_error(head: str, levels: int) -> float:
    """The largest distance of a sum over all levels from one."""
    if head == "categorical":
        tables = [Categorical(scale * torch.randn(4, levels).double()) for scale in (1, 1e4)]
        return max(float((one.probs.sum(-1) - 1).abs().max()) for one in tables)
    found = []
    for mean, scale in itertools.product((*MEANS, levels / 2, levels + 1e6), SCALES):
        means = torch.tensor([[mean, mean + 2]], dtype=torch.float64)
        scales = torch.tensor([[scale, 3 * scale]], dtype=torch.float64).log()
        one = LogisticMixture(torch.zeros_like(means), means, scales, levels)
        found.append(abs(one.probs.sum().item() - 1))
    return max(found)


def truth(levels: int) -> Tensor:
    """Probabilities of the levels of one pixel."""
    low, log_p = photons.log_probabilities(1200.0)
    values = low + torch.arange(len(log_p))
    level = (values * levels // 65535).clamp(max=levels - 1)
    return torch.zeros(levels, dtype=torch.float64).index_add(0, level, log_p.exp())


def excess(head: str, levels: int) -> float:
    """Bits over the entropy, once fitted; a softmax can say any distribution."""
    p = truth(levels)
    if head == "categorical":
        return 0.0
    made, seen = LogisticHead(levels), p.nonzero()[:, 0]
    centre = float((p * torch.arange(levels)).sum()) * 2 / (levels - 1) - 1
    outputs = made.initial(1).double()
    outputs[10:20] = centre + 0.01 * torch.linspace(-1, 1, 10)
    outputs[20:] = -5.0
    outputs.requires_grad_()
    optimizer = torch.optim.Adam([outputs], 0.02)
    for step in range(600):
        optimizer.param_groups[0]["lr"] = 0.02 * (1 - step / 600)
        log_p = made(outputs.view(1, 30, 1, 1), 1)[0, 0, 0].log_prob(seen)
        loss = -(p[seen] * log_p).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    entropy = float(torch.special.entr(p).sum())
    return (loss.item() - entropy) / math.log(2)


def microseconds(head: str, levels: int, rounds: int) -> tuple[float, float]:
    """To draw and to code a sub-pixel; medians."""
    model = npx.build("pixelcnn", shape=(1, 16, 16), levels=levels, features=4, layers=1,
                      pointwise=0, head=head, seed=0)  # fmt: skip
    images = model.sample(16, rng=torch.Generator().manual_seed(0))
    jobs = (lambda: model.sample(16), lambda: npx.compress(model, images))
    found: list[list[float]] = [[], []]
    for _, (job, times) in itertools.product(range(rounds), list(zip(jobs, found, strict=True))):
        begin = time.perf_counter()
        job()
        times.append(time.perf_counter() - begin)
    draw, code = (statistics.median(times) / images.numel() * 1e6 for times in found)
    return draw, code


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    print("| head | levels | sum - 1 | bits over the entropy | draw, us | code, us |")
    print("| --- | --- | --- | --- | --- | --- |")
    for head, levels in itertools.product(("categorical", "logistic"), DEPTHS):
        if head == "logistic" or levels <= 16384:
            draw, code = microseconds(head, levels, rounds)
            print(
                f"| {head} | {levels:,} | {sum_error(head, levels):.0e} | "
                f"{excess(head, levels):.4f} | {draw:.2f} | {code:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
