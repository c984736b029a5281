"""Sets that strangers bring, cut from the pictures that matplotlib is installed with.

A portrait, a logo with transparency, a height map of 16 bits and a slice of a head: small parts of
them, in each form that `docs/data.md` says is read. Nothing is downloaded.
"""

import gzip
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image

HERE = Path(matplotlib.get_data_path()) / "sample_data"
COUNT = 40
"""Images of a set."""


def picture(name: str, mode: str) -> np.ndarray:
    """A picture of matplotlib's, (H, W) or (H, W, C)."""
    with Image.open(HERE / name) as opened:
        return np.asarray(opened.convert(mode))


def elevation() -> np.ndarray:
    """Metres above the sea, int16, (344, 403)."""
    with np.load(HERE / "jacksboro_fault_dem.npz") as held:
        return held["elevation"]


def head() -> np.ndarray:
    """A slice through a head, of 16 bits, (256, 256)."""
    with gzip.open(HERE / "s1045.ima.gz") as file:
        return np.frombuffer(file.read(), np.uint16).reshape(256, 256)


def parts(image: np.ndarray, height: int, width: int, count: int = COUNT) -> np.ndarray:
    """Parts of an image that lie apart, in the order of their places, (count, height, width...)."""
    rows = range(0, image.shape[0] - height + 1, height)
    columns = range(0, image.shape[1] - width + 1, width)
    places = [(row, column) for row in rows for column in columns]
    chosen = [places[number * len(places) // count] for number in range(count)]
    return np.stack([image[row : row + height, column : column + width] for row, column in chosen])


def save(folder: Path, images: np.ndarray, ending: str = "png") -> str:
    """Write each image as a picture; the folder's name."""
    folder.mkdir(parents=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:02}.{ending}")
    return str(folder)


def array(path: Path, images: np.ndarray) -> str:
    """Write images as one array; its name."""
    np.save(path, images)
    return str(path)


def gray(folder: Path) -> str:
    """A folder of gray PNG."""
    return save(folder / "gray", parts(picture("grace_hopper.jpg", "L"), 16, 16))


def rgb(folder: Path) -> str:
    """A folder of PNG in color."""
    return save(folder / "rgb", parts(picture("grace_hopper.jpg", "RGB"), 16, 16))


def rgba(folder: Path) -> str:
    """A folder of PNG with transparency."""
    return save(folder / "rgba", parts(picture("Minduka_Present_Blue_Pack.png", "RGBA"), 16, 16))


def heights(folder: Path) -> str:
    """An array of int16."""
    return array(folder / "heights.npy", parts(elevation(), 16, 16))


def slices(folder: Path) -> str:
    """A folder of TIFF of 16 bits."""
    return save(folder / "slices", parts(head(), 16, 16), "tif")


def rectangles(folder: Path) -> str:
    """An array of uint8, not square."""
    return array(folder / "rectangles.npy", parts(picture("grace_hopper.jpg", "L"), 12, 20))


def sizes(folder: Path) -> str:
    """A folder of PNG of many sizes."""
    whole = picture("grace_hopper.jpg", "RGB")
    place = folder / "sizes"
    place.mkdir()
    for number in range(COUNT):
        top, left = 7 * number, 5 * number
        part = whole[top : top + 16 + number, left : left + 48 - number // 2]
        Image.fromarray(part).save(place / f"{number:02}.png")
    return str(place)


def codes(folder: Path) -> str:
    """An array of codes, 8 x 8 of 512, as a VQ-VAE gives them, and a label of each."""
    colors = parts(picture("grace_hopper.jpg", "RGB"), 8, 8).astype(np.int64) >> 5
    array(folder / "codes-labels.npy", np.arange(COUNT) % 4)
    return array(folder / "codes.npy", colors @ np.array([64, 8, 1]))


def classes(folder: Path) -> str:
    """A folder with a folder of PNG for each class."""
    save(folder / "classes" / "logo", parts(picture("logo2.png", "L"), 16, 16, COUNT // 2))
    save(folder / "classes" / "portrait", parts(picture("grace_hopper.jpg", "L"), 16, 16))
    return str(folder / "classes")


def divided(folder: Path) -> str:
    """A folder with the folders train and test."""
    images = parts(picture("grace_hopper.jpg", "L"), 16, 16)
    save(folder / "divided" / "train", images[::2])
    save(folder / "divided" / "test", images[1::2])
    return str(folder / "divided")


def zipped(folder: Path) -> str:
    """A .npz of levels and labels."""
    levels = parts(picture("grace_hopper.jpg", "L"), 16, 16) >> 5
    np.savez(folder / "zipped.npz", levels=levels, labels=np.arange(COUNT) % 2)
    return str(folder / "zipped.npz")


def last(folder: Path) -> str:
    """An array of colors last, as most libraries have them."""
    return array(folder / "last.npy", parts(picture("grace_hopper.jpg", "RGB"), 16, 16))
