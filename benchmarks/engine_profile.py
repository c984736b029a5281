"""Where the step engine's time goes, in microseconds for a pixel of an image, one thread.

    python benchmarks/engine_profile.py [--batches 1 16] [--rounds 15]

The scan is run with more and more of its parts: what is done for the row, at the pixel, choosing a
level, writing it. What a part adds is what it costs. The first two are also run with operations of
one kind only; what that adds to a scan without operations is the cost of the kind, and "other" is
that scan: loops, and finding addresses. Kinds need not sum up to their part. "around" is what a
whole call of `npx.sample` takes beyond its scan. Figures are the least of the rounds, since
differences of medians would drown in what else the machine does; small ones are still noise.
"""

import argparse
import functools
import json

import numpy as np
import torch
from numba import njit
from sampling import drawing, nets, seconds

import nextpixel as npx
from nextpixel.engine.cpu import executor as engine
from nextpixel.engine.cpu import kernels
from nextpixel.engine.cpu.layout import STEP, Phase, step_address
from nextpixel.nn import NO_EMBEDDING

PARTS = ("row", "pixel", "choose", "write")
PLAIN = (1.0, 2**30, 1.0)
"""Temperature, top_k and top_p that change nothing."""


@njit(nogil=True)
def scan(plan, block, truncation, parts):  # noqa: ANN001, ANN201 - numba infers the types
    """The first so many parts of `kernels.scan_rows`, for all rows."""
    last = len(block.levels)
    for row in range(plan.shape[1]):
        kernels.turn_to(plan, block, row)
        kernels.begin_row(plan, block, 0, last, row)
        for column in range(plan.shape[2] if parts > 1 else 0):
            for color in range(plan.shape[0]):
                kernels.predict(plan, block, 0, last, row, column, color)
                if parts > 2:
                    kernels.choose(plan, block, truncation, 0, last, row, column, color)
                if parts > 3:
                    kernels.write(plan, block, 0, last, row, column, color)


def only(made: engine.Prepared, kind: str) -> kernels.Plan:
    """The plan with operations of one kind; with none, if there is no such kind."""
    steps = [step_address(op) for op in made.program.ops if op.name == kind]

    def chosen(phase: Phase) -> Phase:
        return phase._replace(ops=phase.ops[np.isin(phase.ops[:, STEP], steps)])

    return made.plan._replace(row=chosen(made.plan.row), pixel=chosen(made.plan.pixel))


def open_block(model: npx.models.PixelModel, made: engine.Prepared, count: int) -> kernels.Block:
    """Images before their scan, as one block."""
    levels = torch.zeros(count, *model.shape, dtype=torch.int64)
    uniforms = torch.rand(levels.shape, generator=torch.Generator().manual_seed(0)).double()
    arrays = (levels.numpy(), levels.bool().numpy(), uniforms.numpy())
    (block,) = engine.open_blocks(made, *arrays, NO_EMBEDDING, 1)
    return block


def measure(
    model: npx.models.PixelModel, count: int, rounds: int, kinds: list[str]
) -> dict[tuple[str, int], float]:
    """Microseconds of scans, by kind of operation ("all", one, or "other") and number of parts."""
    made = engine.prepared(model)
    plans = {kind: only(made, kind) for kind in [*kinds, "other"]} | {"all": made.plan}
    times: dict[tuple[str, int], list[float]] = {}
    for _ in range(rounds + 1):  # the first compiles
        times.setdefault(("sample", 0), []).append(seconds(drawing(model, count)))
        for kind, plan in plans.items():
            for parts in range(1, 5 if kind == "all" else 3):
                block = open_block(model, made, count)
                job = functools.partial(scan, plan, block, PLAIN, parts)
                times.setdefault((kind, parts), []).append(seconds(job))
    pixels = count * model.shape[1] * model.shape[2]
    return {job: min(each) / pixels * 1e6 for job, each in times.items()}


def profile(model: npx.models.PixelModel, count: int, rounds: int) -> dict[str, float]:
    """Microseconds for a pixel of an image, part by part and kind by kind."""
    kinds = list(dict.fromkeys(op.name for op in engine.prepared(model).program.ops))
    took = measure(model, count, rounds, kinds)

    def cost(kind: str, part: int) -> float:
        return took[kind, part] - (took[kind, part - 1] if part > 1 else 0.0)

    found = {"all": took["all", 4]}
    for number, part in enumerate(PARTS, 1):
        found[part] = cost("all", number)
        for kind in kinds if number < 3 else ():
            found[f"{part} {kind}"] = cost(kind, number) - cost("other", number)
        if number < 3:
            found[f"{part} other"] = cost("other", number)
    return found | {"around": took["sample", 0] - took["all", 4]}


def main() -> None:
    parser = argparse.ArgumentParser(description="Profile the step engine.")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results = []
    for name, model in nets().items():
        found = [profile(model, count, arguments.rounds) for count in arguments.batches]
        print(f"{name:30} " + " ".join(f"{count:>9}" for count in arguments.batches) + "  images")
        for key in found[0]:
            indent = "  " * (1 + (" " in key))
            print(f"{indent + key:30} " + " ".join(f"{each[key]:9.3f}" for each in found))
        pairs = zip(arguments.batches, found, strict=True)
        results += [{"net": name, "batch": count, **each} for count, each in pairs]
    print(json.dumps({"microseconds for a pixel of an image": results}))


if __name__ == "__main__":
    main()
