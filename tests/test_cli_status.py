"""The command as a process: its exit statuses, its help without torch, its end by a signal."""

import os
import signal
import subprocess
import sys

import pytest

from nextpixel.cli.app import main
from nextpixel.errors import NextPixelError
from tests import commands
from tests.commands import lines

# Exit statuses


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (NextPixelError("no disk"), 1, "nextpixel: error: no disk"),
        (OSError(28, "No space left", "f"), 1, "nextpixel: error: [Errno 28] No space left: 'f'"),
        (MemoryError(), 1, "nextpixel: error: MemoryError"),
        (ValueError("a\n  b"), 2, "nextpixel: error: a b"),
        (TypeError("t"), 2, "nextpixel: error: t"),
        (RuntimeError("r"), 1, "nextpixel: error: RuntimeError: r (--debug shows where)"),
        (KeyboardInterrupt(), 130, "nextpixel: interrupted"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_an_error_has_its_status(capsys, monkeypatch, error, status, text):
    def fail(*_):
        raise error

    monkeypatch.setattr("nextpixel.recipes.names", fail)
    assert main(["recipes"]) == status
    assert lines(capsys) == ([], [text])


def test_a_request_to_stop_keeps_its_status(monkeypatch):
    monkeypatch.setattr("nextpixel.recipes.names", lambda: sys.exit(143))
    assert main(["recipes"]) == 143


def test_debug_shows_the_traceback(capsys):
    assert main(["recipes", "dem", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


# Real processes


def command(*words, **options):
    return subprocess.run(
        [sys.executable, "-m", "nextpixel", *words], capture_output=True, text=True, **options
    )


def test_help_needs_no_torch():
    code = "import sys; from nextpixel.cli.app import main; main(['--help']); "
    code += "print([name for name in ('torch', 'numpy', 'matplotlib') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "evaluate" in done.stdout


def test_the_help_of_training_lists_settings_and_defaults_without_torch():
    code = "import sys; from nextpixel.cli.app import main; main(['train', '--help']); "
    code += "print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False"
    for text in ("--train.steps", "default 10000", "--train.batch-size", "--data.levels"):
        assert text in done.stdout


def test_a_process_answers_bad_input_without_traceback():
    done = command("train", "dem")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "nextpixel: error: there is no recipe 'dem'; did you mean 'demo'?\n"


@pytest.mark.slow
def test_sigterm_leaves_a_resume_point(tmp_path):
    (tmp_path / "tiny.yaml").write_text(commands.TINY)
    words = ["train", str(tmp_path / "tiny.yaml"), "--out", str(tmp_path / "run")]
    process = subprocess.Popen(
        [sys.executable, "-m", "nextpixel", *words, "--train.steps", "1000000"],
        stderr=subprocess.PIPE,
        text=True,
    )
    while "step 1" not in process.stderr.readline():  # the first update is done
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "--resume" in err
    assert (tmp_path / "run" / "resume" / "state.pt").is_file()


def test_a_reader_that_leaves_is_no_error():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "nextpixel", "recipes", "demo"],
        stdout=write,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONUNBUFFERED": ""},  # what is buffered is written once more at exit
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")
