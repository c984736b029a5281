"""What the page makes of a server that is busy, and of models in folders: in a real browser."""

import json
import os
import shlex
import subprocess
import sys
from urllib.request import urlopen

import numpy as np
import pytest

import nextpixel as npx
from tests import browsers
from tests.test_playground_server import environment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(browsers.missing()), reason=f"not here: {browsers.missing()}"),
]
PLAIN, FORGETFUL = "mnist2-gated", "digits17-gated"
OWN = "a model's own $HOME"
"""A folder whose name a shell takes apart unless it is quoted."""
BUSY = "The server is busy; trying again…"
REFUSAL = {"detail": "the engine is busy and 16 jobs wait already", "field": None}


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / OWN
    npx.save(npx.build("gated-pixelcnn", shape=(1, 6, 5), levels=4, features=4, layers=1), folder)
    return folder


@pytest.fixture(scope="module")
def address(own):
    with browsers.serving(PLAIN, FORGETFUL, str(own)) as found:
        ready = lambda: json.load(urlopen(f"{found}/api/queue", timeout=10))["ready"]  # noqa: E731
        browsers.until(ready, seconds=300)
        yield found


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with browsers.browsing(tmp_path_factory.mktemp("profile"), accept_downloads=True) as found:
        found.set_default_timeout(120_000)
        yield found


@pytest.fixture
def page(browser, address):
    found = browser.new_page()
    watch = browsers.Watch(found, address)
    yield found
    found.close()
    assert watch.complaints == []
    assert watch.hosts <= {watch.own}


@pytest.fixture
def sample(page, address):
    """The view Sample, which has drawn what it draws on arrival."""
    page.goto(f"{address}/#sample")
    place = page.locator("#sample")
    place.locator(".verdict").wait_for()
    unfold(place)
    return place


def unfold(place):
    """Show the rarer options."""
    place.locator("details").first.evaluate("node => { node.open = true; }")


class Busy:
    """Refuses to answer some addresses for the first times, as a server that is busy."""

    def __init__(self, page, path, times, **headers):
        self.left, self.asked = times, 0
        self.answer = {
            "status": 503,
            "content_type": "application/json",
            "body": json.dumps(REFUSAL),
            "headers": headers,
        }
        page.route(path, self.route)

    def route(self, route):
        self.asked += 1
        self.left -= 1
        if self.left >= 0:
            route.fulfill(**self.answer)
        else:
            route.continue_()


def start(place):
    place.get_by_label("How many", exact=True).fill("2")
    place.locator("button.main").click()


def word(page):
    return page.locator(".asking").filter(has_text=BUSY)


def test_a_busy_server_is_asked_again_with_a_word(page, sample):
    busy = Busy(page, "**/api/sample", 2, **{"Retry-After": "1"})
    start(sample)
    word(page).wait_for()
    browsers.until(lambda: page.wait_for_timeout(20) or busy.asked == 3)
    sample.locator(".verdict").wait_for()
    assert page.locator(".asking").inner_text() == ""


@pytest.mark.parametrize("view", ["complete", "inspect"])
def test_every_question_is_asked_again(page, address, view):
    paths = ["models", "models/*/images?*"] + ["inspect", "models/*/fields"] * (view == "inspect")
    asked = [Busy(page, f"**/api/{path}", 1, **{"Retry-After": "0.5"}) for path in paths]
    page.goto(f"{address}/#{view}")
    word(page).wait_for()
    browsers.until(lambda: page.wait_for_timeout(20) or all(busy.asked > 1 for busy in asked))


def test_a_server_that_stays_busy_has_the_last_word(page, sample):
    busy = Busy(page, "**/api/sample", 99, **{"Retry-After": "0.1"})
    start(sample)
    sample.get_by_text(REFUSAL["detail"]).wait_for()
    assert busy.asked == 12
    assert page.locator(".asking").inner_text() == ""


def test_who_stops_does_not_ask_again(page, sample):
    busy = Busy(page, "**/api/sample", 1, **{"Retry-After": "2"})
    start(sample)
    word(page).wait_for()
    sample.get_by_role("button", name="Stop").click()
    sample.get_by_text("Stopped.").wait_for()
    assert page.locator(".asking").inner_text() == ""
    start(sample)
    sample.locator(".verdict").wait_for()
    assert busy.asked == 2


def test_nothing_is_less_than_nothing_in_words(page, sample):
    words = page.evaluate(
        """async () => {
          const { bits, nats, number } = await import("/static/format.js");
          return [number(-0.001, 2), number(-0, 1), bits(-1e-9), nats(-0.04), number(-0.4),
            number(1234.56, 1), number(-0.006, 2), number(Infinity, 1)];
        }"""
    )
    assert words == ["0.00", "0.0", "0.0 bits", "0.0 nats", "0", "1,234.6", "-0.01", "∞"]


def run(command, folder):
    """What a command of the page draws, typed into a shell: levels."""
    nextpixel = f"{shlex.quote(sys.executable)} -m nextpixel "
    typed = command.replace("nextpixel ", nextpixel, 1)
    out = folder / "samples.npy"
    typed = typed.replace("--out samples.png", f"--out {shlex.quote(str(out))}")
    subprocess.run(typed, shell=True, check=True, env=environment(), capture_output=True)
    return np.load(out)


@pytest.mark.skipif(os.name != "posix", reason="quoted for another shell")
@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (OWN, {"Temperature": "0.5", "Seed": "3"}),
        (FORGETFUL, {"Class": "unknown"}),
        (FORGETFUL, {"Class": "each in turn"}),
    ],
    ids=["folder", "unknown", "turns"],
)
def test_the_command_that_is_shown_draws_the_same(page, sample, tmp_path, model, fields):
    sample.locator("select").first.select_option(model)
    for label, value in fields.items():
        field = sample.get_by_label(label, exact=True)
        field.select_option(label=value) if label == "Class" else field.fill(value)
    start(sample)
    sample.locator(".verdict").wait_for()
    with page.expect_download() as download:
        sample.get_by_role("button", name=".npy", exact=True).click()
    drawn = np.load(download.value.path())
    command = sample.locator("code").inner_text()
    np.testing.assert_array_equal(run(command, tmp_path), drawn)
    noted = "in the folder where the server was started" in sample.inner_text()
    assert noted == (model == OWN)


def test_a_folder_of_others_is_not_shown(page, own, address):
    def listed(route):
        answer = route.fetch()
        models = answer.json()
        for model in models["models"]:
            model["argument"] = None if model["name"] == OWN else model["argument"]
        route.fulfill(response=answer, json=models)

    page.route("**/api/models", listed)
    page.goto(f"{address}/#sample")
    place = page.locator("#sample")
    place.locator(".verdict").wait_for()
    unfold(place)
    place.locator("select").first.select_option(OWN)
    start(place)
    place.locator(".verdict").wait_for()
    assert place.locator("code").inner_text().startswith("nextpixel sample FOLDER --count 2")
    assert "with the model's folder for FOLDER" in place.inner_text()
