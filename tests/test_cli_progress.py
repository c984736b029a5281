"""Progress is a bar on a terminal, elsewhere a line now and then; settings are explained."""

import nextpixel as npx
from nextpixel.cli import options, progress
from nextpixel.training import Progress
from tests.commands import lines


def a_progress(share):
    return Progress(step=7, share=share, images=80_736, seconds=65.4, nats=70.123)


def test_progress_says_speed_likelihood_and_time_left():
    text = progress.describe(a_progress(0.5))
    assert text == "step 7, 1,234 images/s, 70.12 nats per image, 1:05 left"


def test_without_a_terminal_progress_is_a_line_now_and_then(capsys, monkeypatch):
    clock = iter([0.0, 1.0, 6.0, 7.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress.training() as show:
        for share in (0.1, 0.2, 0.3, 1.0):
            show(a_progress(share))
    _, err = lines(capsys)
    assert [line.split()[0] for line in err] == ["10%", "30%", "100%"]


def test_on_a_terminal_progress_is_a_bar(capsys, monkeypatch):
    monkeypatch.setattr(progress, "on_terminal", lambda: True)
    with progress.training() as show:
        show(a_progress(0.5))
        show(a_progress(1.0))
    err = capsys.readouterr().err
    assert "100%|" in err
    assert "70.12 nats per image" in err


def test_counters_are_silent_without_a_terminal(capsys):
    with progress.counting(3, "row") as count:
        count(3)
    assert capsys.readouterr().err == ""


def test_the_help_explains_every_setting():
    for config in (npx.TrainConfig, npx.data.DataConfig):
        texts = options.explanations(config)
        assert set(config.__dataclass_fields__) <= set(texts)
