"""The last resume point may be lost: it is noticed, and the one before it leads to the same end."""

import errno
import os
import random
import shutil
import warnings

import pytest

import nextpixel as npx
from nextpixel.training import resume
from tests import runs
from tests.test_resume import Interruption, stop_at

LAST, BEFORE = resume.STATE, resume.PREVIOUS


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """A run that was never stopped."""
    out = tmp_path_factory.mktemp("reference")
    runs.run(out)
    return runs.outcome(out)


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A run that an error ended at step 10: resume points at 4 and 8."""
    out = tmp_path_factory.mktemp("begun")
    with pytest.raises(Interruption):
        runs.run(out, on_progress=stop_at(10))
    return out


@pytest.fixture
def stopped(begun, tmp_path):
    """A copy of it."""
    return shutil.copytree(begun, tmp_path / "stopped")


def damage(path, how):
    path.write_bytes(how(path.read_bytes()))


def cut(content):
    return content[: len(content) // 2]


def flip(content, place=None):
    place = len(content) // 2 if place is None else place
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


DAMAGES = {
    "cut": (cut, "is damaged: its end is cut off, or it never was one"),
    "one-byte-short": (lambda content: content[:-1], "is damaged: its end is cut off"),
    "without-its-seal": (lambda content: content[:-48], "is damaged: its end is cut off"),
    "one-bit": (flip, "is damaged: its checksum is wrong"),
    "empty": (lambda content: b"", "is damaged: its end is cut off"),
    "foreign": (lambda content: b"not a zip archive", "is damaged: its end is cut off, or it nev"),
    "longer": (lambda content: content + b"x", "is damaged: its end is cut off"),
}


@pytest.mark.parametrize(("how", "text"), DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_point_is_refused(stopped, how, text):
    damage(stopped / LAST, how)
    with pytest.raises(npx.NextPixelError, match=rf"state\.pt {text}") as caught:
        resume.read_point(stopped / LAST)
    assert "\n" not in str(caught.value)


def test_a_point_that_was_cut_anywhere_is_refused(stopped):
    content = (stopped / LAST).read_bytes()
    lengths = random.Random(1).sample(range(len(content)), 60)
    for length in [*lengths, *range(len(content) - 60, len(content))]:
        (stopped / LAST).write_bytes(content[:length])
        with pytest.raises(npx.NextPixelError, match="is damaged"):
            resume.read_point(stopped / LAST)


def test_a_point_with_a_flipped_bit_anywhere_is_refused(stopped):
    content = (stopped / LAST).read_bytes()
    places = [*random.Random(2).sample(range(len(content)), 60), *range(-48, 0)]
    for place in places:
        place %= len(content)
        (stopped / LAST).write_bytes(flip(content, place))
        with pytest.raises(npx.NextPixelError, match="is damaged"):
            resume.read_point(stopped / LAST)


@pytest.mark.parametrize("how", [cut, flip], ids=["cut", "one-bit"])
def test_a_run_whose_last_point_is_damaged_goes_on_from_the_one_before(stopped, reference, how):
    damage(stopped / LAST, how)
    steps = []
    with pytest.warns(UserWarning, match=r"state\.pt is damaged: .*; going on from .*previous\.pt"):
        runs.run(stopped, resume=True, on_progress=lambda progress: steps.append(progress.step))
    assert steps[0] == 5
    assert runs.outcome(stopped) == reference
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert resume.read_state(stopped)[1] == LAST


def test_a_run_whose_last_point_is_missing_goes_on_from_the_one_before(stopped, reference):
    (stopped / LAST).unlink()
    with pytest.warns(UserWarning, match=r"state\.pt cannot be read: No such file .*previous\.pt"):
        runs.run(stopped, resume=True)
    assert runs.outcome(stopped) == reference


def test_a_damaged_point_never_takes_the_place_of_the_one_before(stopped):
    damage(stopped / LAST, flip)
    whole = (stopped / BEFORE).read_bytes()
    with pytest.warns(UserWarning, match="is damaged"), pytest.raises(Interruption):
        runs.run(stopped, resume=True, on_progress=stop_at(9))  # after the point at step 8
    assert (stopped / BEFORE).read_bytes() == whole


def test_two_damaged_points_are_an_error_that_names_both(stopped):
    damage(stopped / LAST, cut)
    damage(stopped / BEFORE, flip)
    text = r"state\.pt is damaged: .*; the one before it does not help: .*previous\.pt is damaged"
    with pytest.raises(npx.NextPixelError, match=text):
        runs.run(stopped, resume=True)


def test_the_point_before_the_last_is_kept(stopped):
    read = [resume.read_point(stopped / name)["state"]["step"] for name in (BEFORE, LAST)]
    assert read == [4, 8]


def test_half_written_files_that_were_left_do_no_harm(stopped, reference):
    for name in (LAST, BEFORE):
        path = (stopped / name).with_name(name.name + ".partial")
        path.write_bytes((stopped / LAST).read_bytes()[:999])
    runs.run(stopped, resume=True)
    assert runs.outcome(stopped) == reference
    assert not list(stopped.rglob("*.partial"))


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP], ids=["forbidden", "unknown"])
def test_file_systems_without_second_names_keep_a_copy(stopped, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    last = (stopped / LAST).read_bytes()
    resume.write_state(stopped, {"identity": "{}", "state": {}})
    assert (stopped / BEFORE).read_bytes() == last
    assert resume.read_state(stopped)[0]["state"] == {}


def test_no_room_for_the_copy_is_an_error_and_loses_nothing(stopped, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(type(stopped), "write_bytes", refuse)
    before = [(stopped / name).read_bytes() for name in (LAST, BEFORE)]
    with pytest.raises(npx.NextPixelError, match=r"cannot write .*previous\.pt: No space left on"):
        resume.write_state(stopped, {"identity": "{}", "state": {}})
    assert [(stopped / name).read_bytes() for name in (LAST, BEFORE)] == before
    assert not list(stopped.rglob("*.partial"))
