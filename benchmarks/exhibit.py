"""A digit in the exhibit's page against the same digit by Python's engine; and what files weigh.

    python benchmarks/exhibit.py [--model mnist2-gated-class] [--count 30]

Median milliseconds for one 28x28 digit, images one by one, one thread each, after one that is not
counted. The page lies on the disk and is opened in a browser that is installed; the first digit is
counted from the opening of the page to its first row.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

import nextpixel as npx
from nextpixel.cli.app import main as command

sys.path.append(str(Path(__file__).parents[1] / "examples"))

from browser import browsing, missing

DRAW = """async count => {
  const { engine } = nextpixel;
  const [, height, width] = engine.model.shape;
  const times = [];
  for (let n = 0; n <= count; n += 1) {
    const uniforms = Float64Array.from({ length: height * width }, () => Math.random());
    const start = performance.now();
    await engine.fill({ uniforms });
    times.push(performance.now() - start);
  }
  return times.slice(1);
}"""
FIRST = """async () => {
  while (!document.querySelector("#draw h3").textContent) {
    await new Promise(resolve => setTimeout(resolve, 2));
  }
  return performance.now();
}"""


def in_browser(folder: Path, count: int) -> tuple[float, list[float]]:
    """Milliseconds to the first row, and of each digit; the page draws nothing of its own then."""
    with tempfile.TemporaryDirectory() as profile, browsing(profile) as browser:
        page = browser.new_page()
        page.goto((folder / "index.html").as_uri())
        first = page.evaluate(FIRST)
        page.emulate_media(reduced_motion="reduce")
        page.set_viewport_size({"width": 400, "height": 1})
        page.reload()
        page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
        return first, page.evaluate(DRAW, count)


def in_python(name: str, count: int) -> list[float]:
    """Milliseconds of each digit."""
    torch.set_num_threads(1)
    model, times = npx.load(name), []
    condition = torch.zeros(1, dtype=torch.int64) if model.conditioner.conditions else None
    for seed in range(count + 1):
        rng = torch.Generator().manual_seed(seed)
        start = time.perf_counter()
        npx.sample(model, 1, rng=rng, condition=condition)
        times.append(1000 * (time.perf_counter() - start))
    return times[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the exhibit.")
    parser.add_argument("--model", default="mnist2-gated-class")
    parser.add_argument("--count", type=int, default=30)
    options = parser.parse_args()
    if lacking := missing():
        raise SystemExit(f"nothing is measured: {lacking} is not here")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "exhibit"
        assert command(["exhibit", "--out", str(folder), "--model", options.model]) == 0
        sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
        first, browser = in_browser(folder, options.count)
    found = {
        "model": options.model,
        "browser_ms": statistics.median(browser),
        "python_ms": statistics.median(in_python(options.model, options.count)),
        "first_row_ms": first,
        "bytes": sizes,
        "all_bytes": sum(sizes.values()),
    }
    print(f"a digit: {found['browser_ms']:.0f} ms in the page, {found['python_ms']:.0f} by Python")
    print(f"the first row: {first:.0f} ms after the page was asked for")
    print(f"files: {found['all_bytes'] / 1e6:.2f} MB, " + json.dumps(sizes))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
