"""How long a visitor of the playground waits: for the first motion, and for an answer to pointing.

    python benchmarks/playground_arrival.py [--times 5]

The page is opened in a browser that holds nothing of it, at a server whose engine is warm. Medians
in milliseconds: from opening until the first row of the wall is drawn, until the large image draws
itself, and in Look inside from moving the pointer until the words at the pixel are new.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

sys.path.append(str(Path(__file__).parents[1] / "examples"))

from browser import browsing, missing, serving

ROW = "() => Number(document.querySelector('#sample .tiles canvas')?.dataset.rows) > 0"
LARGE = "() => Number(document.querySelector('#sample .stage')?.dataset.at) > 0"
POINT = """async ([x, y]) => {
  const words = () => document.querySelector("#inspect .inspector").textContent;
  const before = words();
  const begin = performance.now();
  const board = document.querySelector("#inspect .board");
  const box = board.getBoundingClientRect();
  const at = { clientX: box.left + x * box.width, clientY: box.top + y * box.height };
  board.dispatchEvent(new PointerEvent("pointermove", { ...at, bubbles: true }));
  while (words() === before) await new Promise(requestAnimationFrame);
  return performance.now() - begin;
}"""


def wait_until_warm(address: str) -> None:
    """Until the engine has drawn its first image."""
    while True:
        with urlopen(f"{address}/api/queue") as answer:
            if json.load(answer)["ready"]:
                return
        time.sleep(0.2)


def arrive(browser: Any, address: str) -> tuple[float, float]:  # noqa: ANN401 - playwright's own
    """Milliseconds until the first row, and until the large image draws itself."""
    page = browser.new_page()
    begin = time.perf_counter()
    page.goto(address)
    found = []
    for what in (ROW, LARGE):
        page.wait_for_function(what, polling="raf")
        found.append(1000 * (time.perf_counter() - begin))
    page.close()
    return found[0], found[1]


def point(browser: Any, address: str) -> list[float]:  # noqa: ANN401 - playwright's own
    """Milliseconds of twenty pointings."""
    page = browser.new_page()
    page.goto(f"{address}/#inspect")
    page.locator("#inspect .inspector figcaption").first.wait_for()
    page.mouse.click(5, 5)  # so that nothing moves by itself
    page.wait_for_timeout(3000)
    places = [[(3 + n) / 28, (5 + n) / 28] for n in range(20)]
    found = [page.evaluate(POINT, place) for place in places]
    page.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="How long a visitor of the playground waits.")
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    if lacking := missing():
        raise SystemExit(f"nothing is measured: {lacking} is not here")
    with serving() as address:
        wait_until_warm(address)
        visits = []
        for _ in range(options.times):
            with tempfile.TemporaryDirectory() as profile, browsing(profile) as browser:
                visits.append(arrive(browser, address))
        with tempfile.TemporaryDirectory() as profile, browsing(profile) as browser:
            pointings = point(browser, address)
    rows, large = (statistics.median(column) for column in zip(*visits, strict=True))
    print(f"first row {rows:.0f} ms, large image {large:.0f} ms after opening")
    print(f"pointing: median {statistics.median(pointings):.0f} ms, most {max(pointings):.0f} ms")


if __name__ == "__main__":
    main()
