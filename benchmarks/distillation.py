"""Does a net learn sooner from another's predictions than from the images? Both, step by step.

    python benchmarks/distillation.py [--student mnist-fast] [--teacher mnist-mixture]
        [--steps 500] [--seeds 0 1] [--threads 1]

The student's recipe is trained twice on the same images from the same weights: towards the levels,
and towards the teacher's distribution of each level given its past (the cross-entropy to it, which
is that of the levels on average over what the teacher would draw). Printed are nats of 2,000
validation images, and the seconds that both took.

References: Hinton, Vinyals, Dean (2015), Distilling the Knowledge in a Neural Network.
    https://arxiv.org/abs/1503.02531
"""

import argparse
import time

import torch
from torch import Tensor

import nextpixel as npx
from nextpixel.likelihood import log_probs
from nextpixel.models import PixelModel
from nextpixel.recipes import model_of, read
from nextpixel.training.optimizers import make_optimizers, rate_factor, set_rates

VALIDATION = 2000


def loss_of(student: PixelModel, teacher: PixelModel | None, levels: Tensor) -> Tensor:
    """Nats an image that the student needs for levels, or on average for the teacher's draws."""
    predicted = student(levels)
    if teacher is None:
        return -predicted.log_prob(levels).sum() / len(levels)
    with torch.no_grad():
        probs = teacher(levels).probs
    return -(probs * predicted.logits).sum() / len(levels)


def train(name: str, teacher: PixelModel | None, steps: int, seed: int) -> tuple[float, float]:
    """Nats of validation images after some steps of a recipe, and the seconds they took."""
    recipe = read(name)
    config, data = recipe.train, npx.load_data("mnist", levels=2, protocol="dynamic")
    torch.manual_seed(seed)
    student = model_of(recipe, shape=(1, 28, 28), levels=2).train()
    optimizers, rng = make_optimizers(student, config), torch.Generator().manual_seed(seed)
    begin = time.perf_counter()
    for step in range(steps):
        chosen = torch.randint(len(data.train), (config.batch_size,), generator=rng)
        set_rates(optimizers, rate_factor(config, step, step / steps))
        student.zero_grad()
        loss_of(student, teacher, data.train.draw(chosen, rng).long()).backward()
        if config.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(student.parameters(), config.clip_norm)
        for optimizer in optimizers:
            optimizer.step()
    seconds = time.perf_counter() - begin
    levels = data.validation.levels[:VALIDATION].long()
    return -log_probs(student.eval(), levels).mean().item(), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--student", default="mnist-fast", help="a recipe without a condition")
    parser.add_argument("--teacher", default="mnist-mixture", help="a model of the same levels")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    teacher = npx.load(asked.teacher).eval()
    for seed in asked.seeds:
        for what, other in (("levels", None), (asked.teacher, teacher)):
            nats, seconds = train(asked.student, other, asked.steps, seed)
            print(f"seed {seed}, {asked.steps} steps towards {what}: {nats:.2f} nats, "
                  f"{seconds:.0f} s", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
