"""The command line, called in place: a tiny run of its own making, and what it says."""

from nextpixel.cli.app import main

TINY = """
data: {name: digits}
model: {name: pixelcnn, features: 8, layers: 2, side: 3}
train: {steps: 20, batch_size: 16, validate_every: 10, validation_images: 20, test_images: 20,
        previews: 2, preview_count: 4}
"""


def make_home(folder):
    """Write a tiny recipe into a folder, and train it there; the folder."""
    (folder / "tiny.yaml").write_text(TINY)
    assert main(["train", str(folder / "tiny.yaml"), "--out", str(folder / "run")]) == 0
    return folder


def lines(capsys):
    """Lines of output, and of errors."""
    out, err = capsys.readouterr()
    return out.splitlines(), err.splitlines()


def caller(folder, capsys):
    """The command as a function of its words; models go by their names in a folder.

    It returns the status, lines of output, lines of errors.
    """

    def call(*words):
        names = [str(folder / word) if (folder / word).is_dir() else str(word) for word in words]
        status = main(names)
        return status, *lines(capsys)

    return call
