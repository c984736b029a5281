"""The picture of the exhibit: its page from the disk in a browser, as a reader sees it.

    python examples/exhibit_pictures.py --out docs/images

It needs playwright and a chromium that is installed. Half a minute.
"""

import argparse
import tempfile
from io import BytesIO
from pathlib import Path

from browser import browsing, missing
from common import keep
from PIL import Image

from nextpixel.cli.app import main as command

SIZE = {"width": 1100, "height": 860}
UNSURE = """() => {
  const row = Number(document.querySelector("#draw h3").textContent.match(/[0-9]+/)[0]);
  const chance = document.querySelector("#draw .bars rect").getAttribute("height");
  return row > 14 && chance > 0.25 && chance < 0.75;
}"""
"""Whether half of the digit is drawn, and the net does not know how to go on."""


def shoot(folder: Path) -> Image.Image:
    """A digit half drawn, and the wall below it, in 256 colors."""
    with (
        tempfile.TemporaryDirectory() as profile,
        browsing(profile, viewport=SIZE, color_scheme="light") as browser,
    ):
        page = browser.new_page()
        page.goto((folder / "index.html").as_uri())
        page.locator(".wall button:enabled").nth(19).wait_for()
        page.get_by_label("Speed").fill("0.8")
        page.wait_for_function(UNSURE, timeout=200_000)  # a busy machine skips frames
        page.get_by_role("button", name="Pause", exact=True).click()
        shot = page.screenshot()
    return Image.open(BytesIO(shot)).convert("RGB").quantize(256)


def main() -> None:
    parser = argparse.ArgumentParser(description="Take the picture of the exhibit.")
    parser.add_argument("--quick", action="store_true", help="no difference: there is one picture")
    parser.add_argument("--out", type=Path, default=Path("runs/exhibit"), help="folder")
    options = parser.parse_args()
    if lacking := missing():
        print(f"no picture is taken: {lacking} is not here")
        return
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "exhibit"
        assert command(["exhibit", "--out", str(folder)]) == 0
        keep(shoot(folder), options.out / "exhibit.png", "a digit that draws itself, and others")


if __name__ == "__main__":
    main()
