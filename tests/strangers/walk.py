"""The whole way of a stranger with images of his own: from his file to an archive and back.

`python tests/strangers/walk.py DIR [SET...]` goes it in a folder, by processes, and prints each
command and its answer. The nets are tiny and hardly trained: it is the way that counts.
"""

import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

import nextpixel as npx
from tests.strangers import sets

RECIPE = """
model: {name: residual-pixelcnn, features: 12, blocks: 1, block: single, first_side: 5, side: 3,
        head_features: 12%s}
train: {steps: 4, batch_size: 8, validate_every: 4, previews: 1, preview_count: 2, test_images: 4,
        threads: 1}
"""
CLASSES = ", condition: [{classes: %d, form: bias}]"


@dataclass(frozen=True)
class Stranger:
    """Who comes with a set.

    Attributes:
        make: Writes the set into a folder; its path.
        train: Options of training that the set needs.
        classes: Of its labels, for a model that is conditioned on them.
        back: What an archive is written back to: a folder, or a file of this ending.
        transparent: Whether an archive cannot keep them as they are, but as a model sees them.
    """

    make: Callable[[Path], str]
    train: tuple[str, ...] = ()
    classes: int = 0
    back: str = ""
    transparent: bool = False


STRANGERS = {
    "gray": Stranger(sets.gray),
    "rgb": Stranger(sets.rgb),
    "rgba": Stranger(sets.rgba, back=".npy", transparent=True),
    "heights": Stranger(sets.heights, back=".npy"),
    "slices": Stranger(sets.slices),
    "rectangles": Stranger(sets.rectangles, back=".npy"),
    "sizes": Stranger(sets.sizes, ("--data.crop", "16")),
    "codes": Stranger(
        sets.codes, ("--data.levels", "512", "--model.head", "categorical"), 4, back=".npy"
    ),
    "classes": Stranger(sets.classes, (), 2),
    "divided": Stranger(sets.divided),
    "zipped": Stranger(sets.zipped, ("--data.levels", "8"), 2, back=".npy"),
    "last": Stranger(sets.last, back=".npy"),
}

Call = Callable[[list[str]], object]


def way(name: str, home: Path) -> Iterator[list[str]]:
    """The commands of one stranger, each when the one before has been carried out.

    Args:
        name: Of `STRANGERS`.
        home: Folder to write into.
    """
    stranger = STRANGERS[name]
    here, run = home / name, str(home / name / "runs" / name)
    here.mkdir(parents=True)
    images = stranger.make(here)
    recipe = here / "tiny.yaml"
    condition = CLASSES % stranger.classes if stranger.classes else ""
    recipe.write_text(f"data: {{name: {images}}}\n{RECIPE % condition}")
    archive, back = str(here / "a.npx"), str(here / f"back{stranger.back}")
    yield ["train", str(recipe), *stranger.train, "--out", run]
    yield ["runs", str(here / "runs")]
    yield ["models", run]
    yield ["evaluate", run]
    yield ["sample", run, "--count", "2", "--out", str(here / "drawn.png")]
    words = ["--known", "top", "--count", "1", "--images-count", "2"]
    yield ["complete", run, "--images", images, *words, "--out", str(here / "completed.npy")]
    if stranger.transparent:
        images = sets.array(here / "seen.npy", npx.load_images(images).levels.numpy())
    yield ["compress", run, images, archive]
    yield ["info", archive]
    yield ["decompress", run, archive, back]


def main(home: Path, names: list[str]) -> None:
    """Go the way of each, and print what is asked and answered."""
    for name in names or STRANGERS:
        for words in way(name, home):
            print("\n$ nextpixel", shlex.join(words), flush=True)
            done = subprocess.run([sys.executable, "-m", "nextpixel", *words], check=False)
            if done.returncode:
                print(f"(status {done.returncode})", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
