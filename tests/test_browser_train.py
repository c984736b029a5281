"""The view Train in a real browser: what moves, what can be changed, what the server refuses."""

import json
from contextlib import contextmanager
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pytest

from tests import browser_scripts as scripts
from tests import browsers

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(browsers.missing()), reason=f"not here: {browsers.missing()}"),
]
BLUE = (74, 118, 178)
START = {
    "event": "start",
    "samples": {"shape": [1, 1, 2, 2], "levels": 2, "data": "AAEAAQ=="},
    "labels": None,
    "parameters": 12,
    "held_out": 100,
    "row": 1,
    "column": 1,
    "receptive_field": "AQEBAA==",
}
"""Of a net of four pixels, as the server would say it."""
REPORT = {
    "event": "report",
    "step": 0,
    "seconds": 0,
    "train_nats": None,
    "held_out_nats": 2.77,
    "samples": START["samples"],
    "influence": "AAAAAAAAAAAAAAAAAAAAAA==",
}


@pytest.fixture(scope="module")
def address():
    with browsers.serving("mnist2-gated") as found:
        browsers.until(lambda: queue(found)["ready"], seconds=300)
        yield found


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with browsers.browsing(tmp_path_factory.mktemp("profile")) as found:
        found.set_default_timeout(120_000)
        yield found


@pytest.fixture
def page(browser, address):
    found = browser.new_page()
    found.set_viewport_size({"width": 1100, "height": 800})
    watch = browsers.Watch(found, address)
    yield found
    found.close()
    assert watch.complaints == []
    assert watch.hosts <= {watch.own}


def queue(address):
    with urlopen(f"{address}/api/queue", timeout=10) as answer:
        return json.load(answer)


def show(page, address, options=""):
    """Open the view, and wait until the net has drawn."""
    page.goto(f"{address}/#train{options}")
    place = page.locator("#train")
    browsers.until(lambda: tuple(pixels(place.locator("canvas").first)[-1, -1]) != BLUE)
    return place


def pixels(canvas):
    height, width, *data = canvas.evaluate(scripts.PIXELS)
    return np.array(data, np.uint8).reshape(height, width, 4)[..., :3]


def drawn(place):
    return np.stack([pixels(canvas) for canvas in place.locator(".wall canvas").all()])


def press(place, name):
    place.get_by_role("button", name=name, exact=True).click()


def wait_for_updates(place):
    """Wait until the net has learned something; the words on how far it is."""
    figures = place.locator(".figures")
    return browsers.until(
        lambda: "update" in (words := figures.inner_text()) and ", 0 updates" not in words and words
    )


def choose(place, title, words):
    place.get_by_role("group", name=title, exact=True).get_by_text(words, exact=True).click()


def place_of(request):
    """A training that began; None while the page of the test before still has its place."""
    try:
        return urlopen(request, timeout=30)
    except HTTPError as refused:
        if refused.code != 503:
            raise
        return None


@contextmanager
def training(address, *visitors):
    """Others who train at this server; they leave at the end."""
    open_ones = []
    for visitor in visitors:
        body = json.dumps({"visitor": visitor, "gated": False, "features": 4}).encode()
        request = Request(f"{address}/api/train", body, {"Content-Type": "application/json"})
        open_ones.append(browsers.until(lambda asked=request: place_of(asked)))
    try:
        yield
    finally:
        for one in open_ones:
            one.close()


def test_a_net_learns_by_itself_and_its_samples_change(page, address):
    place = show(page, address)
    before = drawn(place)
    wait_for_updates(place)
    browsers.until(lambda: (drawn(place) != before).any())
    assert 0.3 < (before == 0).mean() < 0.7  # coin flips
    browsers.until(lambda: (drawn(place) == 0).mean() > 0.7)  # white strokes on black
    nats = place.locator(".curve .legend li").first.inner_text()
    assert float(nats.split(": ")[1].removesuffix(" nats")) < 135
    assert len(place.locator("polyline.held").get_attribute("points").split()) > 1


def test_it_is_paused_and_goes_on_where_it_was(page, address):
    place = show(page, address)
    wait_for_updates(place)
    press(place, "Pause")
    place.get_by_text("Paused.", exact=True).wait_for()
    browsers.until(lambda: queue(address)["running"] == 0)
    words = place.locator(".figures").inner_text()
    page.wait_for_timeout(700)
    assert place.locator(".figures").inner_text() == words
    press(place, "Go on")
    browsers.until(lambda: place.locator(".figures").inner_text() != words)
    seconds = [float(text.split(" s of")[0]) for text in (words, wait_for_updates(place))]
    assert seconds[1] >= seconds[0]


def test_another_net_begins_when_it_is_chosen_and_the_curve_of_the_last_stays(page, address):
    place = show(page, address)
    wait_for_updates(place)
    place.get_by_text("It has no blind spot, 21 are out of its reach.").wait_for()
    choose(place, "Net", "plain")
    place.get_by_text("before: gated, kernel 5, 16 features").wait_for()
    place.get_by_text("lie in its blind spot").wait_for()
    wait_for_updates(place)
    assert place.locator("polyline.earlier").count() == 1
    choose(place, "Kernel", "3")
    place.get_by_text("before: plain, kernel 5, 16 features").wait_for()
    choose(place, "Features", "4")
    assert page.url.endswith("#train?net=plain&kernel=3&features=4&class=no")


def test_a_net_conditioned_on_the_class_draws_each_in_turn(page, address):
    place = show(page, address, "?net=plain&features=4&class=yes")
    wait_for_updates(place)
    captions = place.locator(".wall figcaption").all_inner_texts()
    assert captions == [str(number % 10) for number in range(20)]
    choose(place, "Class given", "no")
    browsers.until(lambda: not any(place.locator(".wall figcaption").all_inner_texts()))


def test_a_reset_shows_the_net_untrained(page, address):
    place = show(page, address, "?net=plain")
    wait_for_updates(place)
    press(place, "Reset")
    place.get_by_text("Not trained yet: every pixel is a coin flip.").wait_for()
    assert ", 0 updates" in place.locator(".figures").inner_text()
    browsers.until(lambda: (drawn(place) == 0).mean() < 0.7)
    press(place, "Start")
    wait_for_updates(place)


def test_nothing_starts_by_itself_where_less_motion_is_preferred(page, address):
    page.emulate_media(reduced_motion="reduce")
    place = show(page, address, "?net=plain")
    place.get_by_text("Not trained yet: every pixel is a coin flip.").wait_for()
    assert 0.3 < (drawn(place) == 0).mean() < 0.7
    choose(place, "Kernel", "3")
    place.get_by_text("Sees 21 of 105").wait_for()
    assert place.get_by_role("button", name="Start", exact=True).is_enabled()


def test_a_busy_server_says_so_and_a_reader_who_waits_gets_the_next_place(page, address):
    with training(address, "visitor-one", "visitor-two"):
        place = show(page, address, "?net=plain")
        place.get_by_text("2 others train a net now").wait_for()
        assert 0.3 < (drawn(place) == 0).mean() < 0.7
        press(place, "Start")
        place.get_by_text("Trying again in").wait_for()
    wait_for_updates(place)
    assert place.get_by_role("button", name="Pause", exact=True).is_enabled()


def test_a_reader_need_not_wait(page, address):
    with training(address, "visitor-one", "visitor-two"):
        place = show(page, address, "?net=plain")
        place.get_by_text("2 others train a net now").wait_for()
        press(place, "Start")
        press(place, "Stop waiting")
        place.get_by_text("Not trained yet").wait_for()
        assert place.get_by_role("button", name="Start", exact=True).is_enabled()


def test_a_view_that_nobody_sees_learns_nothing(page, address):
    place = show(page, address, "?net=plain")
    wait_for_updates(place)
    page.locator("#tab-sample").click()
    browsers.until(lambda: queue(address)["running"] == 0)
    words = place.locator(".figures").text_content()
    page.wait_for_timeout(700)
    assert place.locator(".figures").text_content() == words
    page.locator("#tab-train").click()
    browsers.until(lambda: place.locator(".figures").text_content() != words)


def test_a_page_in_front_again_goes_on_with_its_own_net(page, address, browser):
    place = show(page, address, "?net=plain")
    wait_for_updates(place)
    page.locator("#tab-sample").click()
    other = browser.new_page()
    wait_for_updates(show(other, address, "?net=gated"))
    other.close()
    words = place.locator(".figures").text_content()
    page.locator("#tab-train").click()
    browsers.until(lambda: place.locator(".figures").text_content() != words)
    assert words.split("; ")[1] in place.locator(".figures").text_content()  # as many weights


def test_a_stream_that_breaks_off_is_said_in_words(page, address):
    lines = "".join(json.dumps(event) + "\n" for event in (START, REPORT))
    page.route("**/api/train", lambda route: route.fulfill(body=lines))
    place = show(page, address)
    place.get_by_text("The server ended before the net was done.").wait_for()
    page.unroute("**/api/train")
    press(place, "Start")
    wait_for_updates(place)
    assert place.locator(".error").inner_text() == ""


def test_the_words_of_a_failure_are_shown(page, address):
    error = {"event": "error", "message": "the server failed at this", "status": 500}
    page.route("**/api/train", lambda route: route.fulfill(body=json.dumps(error) + "\n"))
    page.goto(f"{address}/#train")
    place = page.locator("#train")
    place.get_by_text("the server failed at this").wait_for()
    assert place.get_by_role("button", name="Start", exact=True).is_enabled()


def test_all_can_be_done_by_keyboard(page, address):
    place = show(page, address, "?net=plain")
    wait_for_updates(place)
    place.get_by_role("button", name="Pause").focus()
    page.keyboard.press("Enter")
    place.get_by_text("Paused.", exact=True).wait_for()
    assert page.evaluate("document.activeElement.textContent") == "Go on"
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowLeft")
    place.get_by_text("It has no blind spot").wait_for()
    assert place.get_by_label("gated", exact=True).is_checked()


def test_the_view_fits_a_narrow_screen(page, address):
    page.set_viewport_size({"width": 360, "height": 740})
    wait_for_updates(show(page, address, "?class=yes"))
    width, screen = page.evaluate(scripts.SPREAD)
    assert width <= screen == 360


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_their_background(page, address, scheme):
    page.emulate_media(color_scheme=scheme)
    place = show(page, address, "?class=yes")
    wait_for_updates(place)
    choose(place, "Net", "plain")
    place.get_by_text("before: gated").wait_for()
    found = page.evaluate(scripts.CONTRAST)
    assert len(found) > 40
    assert min(found)[0] >= 4.5, min(found)
