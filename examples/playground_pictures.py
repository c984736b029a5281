"""The pictures of the playground: its views in a browser, as a reader sees them.

    python examples/playground_pictures.py --out docs/images

It needs the packages of the playground, playwright, and a chromium that is installed; it starts
`nextpixel serve` on a free port and ends it. The same seeds give the same pictures, but for the net
in training, which follows the clock. Two minutes.
"""

import argparse
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from browser import browsing, missing, serving
from common import keep
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Page

MODELS = (
    "mnist2-gated", "mnist2-plain", "mnist-fast-class", "mnist-orders",
    "mnist256-fast",
)  # fmt: skip
WAIT = 120_000  # milliseconds: the first image waits for the engine to be compiled


@contextmanager
def page_of(scheme: str) -> Iterator["Page"]:
    """A page in a browser of its own, in light or dark."""
    size = {"width": 1100, "height": 700}
    with (
        tempfile.TemporaryDirectory() as profile,
        browsing(profile, viewport=size, color_scheme=scheme) as browser,
    ):
        browser.set_default_timeout(WAIT)
        yield browser.new_page()


def sample(page: "Page") -> None:
    """An image on its way, with the wall of others done."""
    view = page.locator("#sample")
    view.locator(".verdict").wait_for()
    view.get_by_text(re.compile(r"^Row 1[5-9], column")).wait_for()
    view.get_by_role("button", name="Pause").click()


def complete(page: "Page") -> None:
    """The upper half of a digit erased, and completed in three ways."""
    page.locator("#complete .verdict").wait_for()


def compress(page: "Page") -> None:
    """A hundred digits, compressed."""
    page.locator("#compress .sizes").wait_for()


def inspect(page: "Page") -> None:
    """A pixel below a stroke that the net of one stack cannot see from there."""
    view = page.locator("#inspect")
    view.locator(".strip [aria-pressed=true]").wait_for()
    view.get_by_text("Five things to find").click()
    view.get_by_text("bits in all").nth(1).wait_for()
    view.get_by_text("of 514 earlier pixels").nth(1).wait_for()


def train(page: "Page") -> None:
    """A plain net for a while, then a gated one."""
    view = page.locator("#train")
    view.get_by_text(re.compile(r"^2\d\.\d s of")).wait_for()
    view.get_by_text("gated", exact=True).click()
    view.get_by_text(re.compile(r"^[3-6]\d\.\d s of")).wait_for()
    view.get_by_role("button", name="Pause").click()
    page.wait_for_timeout(1000)  # until the samples are drawn


VIEWS: dict[str, tuple[str, Callable[["Page"], None], str]] = {
    "sample": ("light", sample, "an image that draws itself, and a wall of others"),
    "complete": ("light", complete, "half of a digit, completed in three ways"),
    "compress": ("dark", compress, "a hundred digits and what they take"),
    "train": ("light", train, "a net in training: samples, curve and receptive field"),
    "inspect": ("dark", inspect, "what two models predict, from where, at what cost"),
}


QUERIES = {
    "train": "?net=plain",
    "inspect": "?model=mnist2-plain&second=mnist2-gated&image=1&row=19&column=11",
}
"""What addresses say of views, where it is not what they begin with."""


def shoot(address: str, name: str) -> Image.Image:
    """A view, when it shows what it should, in 256 colors."""
    scheme, prepare, _ = VIEWS[name]
    with page_of(scheme) as page:
        page.goto(f"{address}/#{name}{QUERIES.get(name, '')}")
        prepare(page)
        shot = page.screenshot(full_page=True)
    return Image.open(BytesIO(shot)).convert("RGB").quantize(256)


def main() -> None:
    parser = argparse.ArgumentParser(description="Take the pictures of the playground.")
    parser.add_argument("--quick", action="store_true", help="one picture only")
    parser.add_argument("--out", type=Path, default=Path("runs/playground"), help="folder")
    options = parser.parse_args()
    if lacking := missing():
        print(f"no pictures are taken: {lacking} is not here")
        return
    options.out.mkdir(parents=True, exist_ok=True)
    with serving(*MODELS) as address:
        for name in list(VIEWS)[: 1 if options.quick else None]:
            picture = shoot(address, name)
            keep(picture, options.out / f"playground-{name}.png", VIEWS[name][2])


if __name__ == "__main__":
    main()
