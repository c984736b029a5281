"""What a first visitor sees of Sample, Complete and Compress, and how the address keeps it."""

import numpy as np
import pytest
import torch
from PIL import Image

import nextpixel as npx
from tests import browsers
from tests.test_browser import cell, field, pixels, wait_for_image

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(browsers.missing()), reason=f"not here: {browsers.missing()}"),
]
MODELS = ("mnist-fast", "mnist-orders", "mnist2-gated-class", "mnist256-fast", "photo-small")


@pytest.fixture(scope="module")
def address():
    with browsers.serving(*MODELS) as found:
        yield found


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with browsers.browsing(tmp_path_factory.mktemp("profile"), has_touch=True) as found:
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


def show(page, address, view):
    page.goto(f"{address}/#{view}")
    return page.locator(f"#{view.split('?')[0]}")


def at(place):
    return int(place.locator(".stage").get_attribute("data-at") or -1)


def test_on_arrival_a_wall_is_drawn_and_one_image_draws_itself(page, address):
    place = show(page, address, "")
    place = page.locator("#sample")
    place.locator(".verdict").wait_for()
    assert place.locator(".tiles.ten canvas").count() == 100
    first = browsers.until(lambda: page.wait_for_timeout(20) or max(0, at(place)))
    browsers.until(lambda: page.wait_for_timeout(20) or at(place) > first)
    assert place.locator(".bars").count() == 1
    place.get_by_role("button", name="Pause").click()
    here = at(place)
    page.wait_for_timeout(300)
    assert at(place) == here
    place.get_by_role("button", name="Step").click()
    assert at(place) == here + 1


def test_the_chances_at_a_pixel_are_the_models(page, address):
    page.emulate_media(reduced_motion="reduce")
    place = show(page, address, "sample?model=mnist-fast&count=30&seed=3&image=2")
    place.locator(".verdict").wait_for()
    browsers.until(lambda: page.wait_for_timeout(20) or at(place) >= 0)
    model = npx.load("mnist-fast")
    drawn = npx.sample(model, 30, rng=torch.Generator().manual_seed(3))[1:2].long()
    row, column = divmod(at(place), 28)
    with torch.inference_mode():
        chance = float(model(drawn).logits.exp()[0, 0, row, column, drawn[0, 0, row, column]])
    assert place.locator(".beside h3").inner_text() == f"Row {row + 1}, column {column + 1}"
    assert f"given {100 * chance:.1f} %" in place.locator(".charts").inner_text()
    assert 0.2 < chance < 0.8  # it starts where the model is unsure


def test_nothing_moves_by_itself_where_less_motion_is_preferred(page, address):
    page.emulate_media(reduced_motion="reduce")
    place = show(page, address, "sample")
    browsers.until(lambda: page.wait_for_timeout(20) or at(place) >= 0)
    here = at(place)
    page.wait_for_timeout(500)
    assert at(place) == here
    assert place.get_by_role("button", name="Play", exact=True).is_visible()


def test_another_image_of_the_wall_is_shown_by_the_arrow_keys(page, address):
    page.emulate_media(reduced_motion="reduce")
    place = show(page, address, "sample?model=mnist-fast&count=40")
    place.locator(".verdict").wait_for()
    tiles = place.locator(".tiles button")
    browsers.until(lambda: tiles.first.get_attribute("aria-pressed") == "true")
    tiles.first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    browsers.until(lambda: page.wait_for_timeout(20) or "image=12" in page.url)
    assert tiles.nth(11).get_attribute("aria-pressed") == "true"
    assert place.locator(".tiles [tabindex='0']").count() == 1


def test_the_address_restores_what_was_drawn_and_back_the_view_before(page, address):
    link = "sample?model=mnist2-gated-class&label=7&seed=5&count=3"
    place = show(page, address, link)
    place.locator(".verdict").wait_for()
    before = [pixels(canvas) for canvas in place.locator(".tiles canvas").all()]
    page.locator("#tab-compress").click()
    page.locator("#compress .sizes").wait_for()
    page.go_back()
    assert place.is_visible()
    place.locator(".verdict").wait_for()
    page.reload()
    place.locator(".verdict").wait_for()
    assert field(place, "Class").input_value() == "7"
    assert field(place, "Seed").input_value() == "5"
    after = [pixels(canvas) for canvas in place.locator(".tiles canvas").all()]
    np.testing.assert_array_equal(before, after)


def test_an_address_that_says_nonsense_is_taken_for_nothing(page, address):
    place = show(page, address, "sample?model=none&seed=-4&count=1e9&label=x&image=77777")
    place.locator(".verdict").wait_for()
    assert field(place, "Seed").input_value() == "0"
    assert place.locator(".tiles canvas").count() == 100


def test_the_focus_stays_on_the_button_that_draws(page, address):
    place = show(page, address, "sample?model=mnist-fast&count=2")
    place.locator(".verdict").wait_for()
    start = place.locator("button.main")
    start.focus()
    page.keyboard.press("Enter")
    place.locator(".verdict").wait_for()
    assert start.evaluate("node => node === document.activeElement")


def test_all_ways_stand_side_by_side_and_what_knows_more_costs_less(page, address):
    place = show(page, address, "complete")
    place.locator(".verdict").wait_for()
    assert place.locator(".way h3").all_inner_texts() == [
        "Known pixels first",
        "By particles",
        "In the raster order",
    ]
    assert place.locator(".way canvas").count() == 18
    words = place.locator(".way > .hint:last-child").all_inner_texts()
    best, particles, raster = (float(text.split(" nats")[0]) for text in words)
    assert best < particles < raster


def test_particles_are_left_out_in_words_where_a_temperature_is_set(page, address):
    place = show(page, address, "complete?model=mnist-fast&temperature=0.5&count=2")
    place.get_by_text("Left out: particles weigh").wait_for()
    assert place.locator(".way canvas").count() == 2


def swipe(page, locator, across, down):
    """A finger over the middle of a picture."""
    box = locator.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    finger = page.context.new_cdp_session(page)
    for step in range(9):
        kind = "touchMove" if step else "touchStart"
        points = [{"x": x + across * step / 8, "y": y + down * step / 8}]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_a_swipe_over_the_picture_scrolls_and_a_stroke_aside_or_a_tap_erases(page, address):
    page.set_viewport_size({"width": 360, "height": 740})
    place = show(page, address, "complete?model=mnist-fast&erase=Nothing")
    board = wait_for_image(place)
    place.get_by_text("0 pixels erased.").wait_for()
    board.scroll_into_view_if_needed()
    before = page.evaluate("window.scrollY")
    swipe(page, board, 0, -120)
    browsers.until(lambda: page.evaluate("window.scrollY") > before + 40)
    place.get_by_text("0 pixels erased.").wait_for()
    board.scroll_into_view_if_needed()
    page.touchscreen.tap(*cell(board, 14, 14))
    place.get_by_text("9 pixels erased.").wait_for()
    swipe(page, board, 90, 0)
    browsers.until(lambda: "9 pixels" not in place.locator(".editor .hint").all_inner_texts()[-1])


def test_an_example_is_compressed_on_arrival_and_named_by_its_model(page, address):
    place = show(page, address, "compress")
    place.locator(".sizes").wait_for()
    assert place.locator(".tiles.ten canvas").count() == 100
    words = place.locator(".verdict").inner_text()
    assert words.startswith("Test images. 100 images in ")
    assert "by mnist256-fast" in words


def test_what_is_compressed_can_be_stopped(page, address, tmp_path):
    place = show(page, address, "compress?model=mnist2-gated-class")
    np.save(tmp_path / "many.npy", np.zeros((1000, 28, 28), np.uint8))
    place.locator(".sizes").wait_for()
    field(place, "Images").set_input_files(tmp_path / "many.npy")
    place.get_by_text("1,000 images with mnist2-gated-class").wait_for()
    place.get_by_role("button", name="Stop").click()
    place.get_by_text("Stopped.").wait_for()
    assert "1,000 images in" not in place.inner_text()


def test_a_photograph_is_made_to_fit_with_a_word(page, address, tmp_path):
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (90, 120, 3), np.uint8)).save(tmp_path / "one.jpg")
    place = show(page, address, "compress?model=mnist-fast")
    place.locator(".sizes").wait_for()
    field(place, "Images").set_input_files(tmp_path / "one.jpg")
    place.get_by_text("1 picture made to fit: 28\u00d728 pixels, gray, 2 levels").wait_for()
    place = show(page, address, "compress?model=photo-small")
    field(place, "Images").set_input_files(tmp_path / "one.jpg")
    place.get_by_text("1 picture made to fit: 120\u00d790 pixels, 256 levels").wait_for()
    assert "by photo-small" in place.locator(".verdict").inner_text()


def test_a_transparent_picture_of_the_models_size_is_made_to_fit_too(page, address, tmp_path):
    Image.new("RGBA", (28, 28), (255, 255, 255, 0)).save(tmp_path / "clear.png")
    place = show(page, address, "compress?model=mnist-fast")
    place.locator(".sizes").wait_for()
    field(place, "Images").set_input_files(tmp_path / "clear.png")
    place.get_by_text("1 picture made to fit: 28\u00d728 pixels, gray, 2 levels").wait_for()
    assert "by mnist-fast" in place.locator(".verdict").inner_text()
