"""The page in a real browser, served by the real command: what a reader does, and what comes of it.

Each test also holds the page to two laws: nothing on the console, no request to another host.
"""

import json
from urllib.request import urlopen

import numpy as np
import pytest
import torch

import nextpixel as npx
from tests import browser_scripts as scripts
from tests import browsers

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(browsers.missing()), reason=f"not here: {browsers.missing()}"),
]
PLAIN, CLASS, LARGE = "mnist2-gated", "mnist2-gated-class", "color-mnist-plusplus"
ENCODER = "mnist2-autoencoder"
OWN = "two-colors"
"""A model of the reader's own, in a folder, of images that no PNG can hold."""
ONE_STACK = "mnist-fast"
VIEWS = ("sample", "complete", "inspect", "compress")
BLUE = (74, 118, 178)
"""Of pixels that are not drawn yet, or erased."""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    own = tmp_path_factory.mktemp("models") / OWN
    npx.save(npx.build("gated-pixelcnn", shape=(2, 6, 5), levels=4, features=4, layers=1), own)
    with browsers.serving(PLAIN, CLASS, LARGE, ONE_STACK, ENCODER, str(own)) as found:
        browsers.until(lambda: queue(found)["ready"], seconds=300)  # compiled, if it was not yet
        yield found


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with browsers.browsing(tmp_path_factory.mktemp("profile"), accept_downloads=True) as found:
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


def show(page, address, view, model=None):
    """Open a view by its address, and choose a model."""
    page.goto(f"{address}/#{view}")
    place = page.locator(f"#{view}")
    chosen = place.locator(".field-model select").first
    chosen.wait_for()
    if model:
        chosen.select_option(model)
    return place


def field(place, label):
    """An input by its whole label."""
    return place.get_by_label(label, exact=True)


def pixels(canvas):
    """What is painted, uint8, (H, W, 3)."""
    height, width, *data = canvas.evaluate(scripts.PIXELS)
    return np.array(data, np.uint8).reshape(height, width, 4)[..., :3]


def unfold(place):
    """Show the rarer options."""
    place.locator("details").first.evaluate("node => { node.open = true; }")


def draw(place, count, seed):
    """Draw images and wait for them."""
    unfold(place)
    field(place, "How many").fill(str(count))
    field(place, "Seed").fill(str(seed))
    place.locator("button.main").click()
    place.locator(".verdict").wait_for()
    return [pixels(canvas) for canvas in place.locator(".tiles canvas").all()]


def saved(page, place, button):
    """What a button hands over as a file."""
    with page.expect_download() as download:
        place.get_by_role("button", name=button, exact=True).click()
    return download.value.path()


def wait_for_image(place):
    """The large picture, when there is an image on it."""
    place.locator(".strip [aria-pressed=true]").wait_for()
    place.locator(".board").scroll_into_view_if_needed()
    return place.locator(".board")


def cell(board, row, column, side=28):
    """Where a pixel is on the large picture."""
    box = board.bounding_box()
    return (
        box["x"] + (column + 0.5) * box["width"] / side,
        box["y"] + (row + 0.5) * box["height"] / side,
    )


def test_pixels_arrive_row_by_row(page, address):
    place = show(page, address, "sample", PLAIN)
    place.evaluate(scripts.RECORD)
    draw(place, 4, 0)
    rows = page.evaluate("window.rows")
    assert rows == sorted(rows)
    assert rows[-1] == 28
    assert len(set(rows)) > 14


def test_a_seed_gives_the_picture_of_the_command_line_and_another_seed_another(page, address):
    place = show(page, address, "sample", PLAIN)
    first = draw(place, 3, 5)
    wanted = npx.sample(npx.load(PLAIN), 3, rng=torch.Generator().manual_seed(5)).numpy()
    np.testing.assert_array_equal(np.load(saved(page, place, ".npy")), wanted)
    for image, levels in zip(first, wanted, strict=True):
        np.testing.assert_array_equal(image, 255 * levels.transpose(1, 2, 0).repeat(3, 2))
    assert any((a != b).any() for a, b in zip(first, draw(place, 3, 6), strict=True))
    np.testing.assert_array_equal(draw(place, 3, 5), first)
    assert saved(page, place, "GIF of the scan").read_bytes().startswith(b"GIF8")
    assert saved(page, place, "PNG").read_bytes().startswith(b"\x89PNG")


def test_a_class_is_asked_for_a_model_that_takes_one_and_for_no_other(page, address):
    place = show(page, address, "sample", CLASS)
    field(place, "Class").select_option("3")
    draw(place, 1, 0)
    assert f"nextpixel sample {CLASS} --label 3 --count 1 --seed 0" in place.inner_text()
    place.locator(".field-model select").first.select_option(PLAIN)
    assert not field(place, "Class").is_visible()


def test_a_number_out_of_range_is_refused_at_its_field(page, address):
    place = show(page, address, "sample", PLAIN)
    place.locator(".verdict").wait_for()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    unfold(place)
    count = field(place, "How many")
    count.fill("1000")
    place.locator("button.main").click()
    assert place.locator(".field-count .error").inner_text() == (
        "How many must be a number from 1 to 100."
    )
    assert count.get_attribute("aria-invalid") == "true"
    assert page.evaluate("document.activeElement.id") == count.get_attribute("id")
    assert not [url for url in asked if url.endswith("api/sample")]


def test_a_refusal_of_the_server_stands_at_the_field_it_names(page, address):
    place = show(page, address, "sample", PLAIN)
    refusal = {"detail": "seed must be smaller", "field": "seed"}
    answer = {"status": 422, "content_type": "application/json", "body": json.dumps(refusal)}
    page.route("**/api/sample", lambda route: route.fulfill(**answer))
    place.locator("button.main").click()
    place.get_by_text("seed must be smaller").wait_for()
    assert place.locator(".field-seed .error").inner_text() == "seed must be smaller"
    assert place.locator("button.main").is_enabled()


def test_a_stopped_job_ends_in_the_page_and_on_the_server(page, address):
    place = show(page, address, "sample", PLAIN)
    place.locator(".verdict").wait_for()  # the images of before are whole
    field(place, "Model").select_option(LARGE)
    canvas = place.locator(".tiles canvas").first
    browsers.until(lambda: 1 < int(canvas.get_attribute("data-rows")) < 28)
    place.get_by_role("button", name="Stop").click()
    place.get_by_text("Stopped.").wait_for()
    rows = int(canvas.get_attribute("data-rows"))
    assert 0 < rows < 28
    browsers.until(lambda: queue(address)["running"] == 0)
    assert int(canvas.get_attribute("data-rows")) == rows
    assert tuple(pixels(canvas)[-1, 0]) == BLUE
    assert len(draw(place, 1, 0)) == 1


def test_a_reader_in_the_queue_sees_how_many_are_ahead(page, address):
    place = show(page, address, "sample", PLAIN)
    page.evaluate(scripts.CROWD, {"model": LARGE, "count": 64})
    browsers.until(lambda: queue(address)["waiting"])
    place.locator("button.main").click()
    place.get_by_text("ahead of yours. The queue holds").wait_for()
    page.reload()  # whoever asked has left
    browsers.until(lambda: (queue(address)["running"], queue(address)["waiting"]) == (0, 0))


def queue(address):
    with urlopen(f"{address}/api/queue", timeout=10) as answer:
        return json.load(answer)


def test_erased_pixels_are_drawn_again_and_known_ones_kept(page, address):
    place = show(page, address, "complete", CLASS)
    board = wait_for_image(place)
    place.get_by_role("button", name="Nothing").click()
    source = pixels(place.locator(".strip canvas").first)
    field(place, "Brush").select_option("3")
    board.scroll_into_view_if_needed()
    page.mouse.move(*cell(board, 6, 4))
    page.mouse.down()
    page.mouse.move(*cell(board, 6, 22), steps=2)
    page.mouse.up()
    place.get_by_text("63 pixels erased.").wait_for()
    unfold(place)
    field(place, "Temperature").fill("5")
    made = np.stack(draw(place, 6, 1))
    known = np.ones((28, 28), bool)
    known[5:8, 3:24] = False
    assert (made[:, known] == source[known]).all()
    assert (made[:, ~known] != source[~known]).any()
    words = place.locator(".verdict").inner_text()
    assert "what its filled pixels cost given all that is known, in nats" in words


def test_nothing_erased_is_said_at_the_picture(page, address):
    place = show(page, address, "complete", PLAIN)
    wait_for_image(place)
    place.get_by_role("button", name="Nothing").click()
    place.locator("button.main").click()
    words = place.locator(".editor .error").filter(has_text="there is nothing to complete")
    assert words.is_visible()


def test_an_image_can_be_uploaded_and_drawn(page, address, tmp_path):
    place = show(page, address, "complete", PLAIN)
    board = wait_for_image(place)
    levels = np.zeros((28, 28), np.uint8)
    levels[3:9, 5] = 1
    np.save(tmp_path / "mine.npy", levels)
    field(place, "Your own picture").set_input_files(tmp_path / "mine.npy")
    place.get_by_text("taken as levels").wait_for()
    field(place, "Draw").check()
    field(place, "Brush").select_option("1")
    page.mouse.click(*cell(board, 20, 20))
    levels[20, 20] = 1
    place.get_by_role("button", name="Nothing").click()
    place.get_by_role("button", name="Right half").click()
    left = np.stack(draw(place, 2, 0))[:, :, :14]
    assert (left[..., 0] == 255 * levels[:, :14]).all()
    place.get_by_role("button", name="A blank").click()
    place.get_by_role("button", name="Bottom half").click()
    assert tuple(pixels(board.evaluate_handle(scripts.SMALL))[27, 13]) == BLUE
    assert tuple(pixels(board.evaluate_handle(scripts.SMALL))[3, 13]) == (0, 0, 0)


def test_a_bad_upload_is_refused_at_its_input(page, address, tmp_path):
    place = show(page, address, "complete", PLAIN)
    wait_for_image(place)
    (tmp_path / "letter.png").write_text("dear reader")
    field(place, "Your own picture").set_input_files(tmp_path / "letter.png")
    words = place.locator(".field-file .error")
    words.filter(has_text="file must be a PNG").wait_for()
    file = field(place, "Your own picture")
    assert file.get_attribute("aria-invalid") == "true"
    assert words.get_attribute("id") in file.get_attribute("aria-describedby")


def test_figures_that_depend_on_a_code_say_that_it_is_not_counted(page, address):
    code = "a code of 16 numbers made from the image itself"
    place = show(page, address, "inspect", ENCODER)
    wait_for_image(place)
    inspector = place.locator(".inspector").first
    assert f"given {code}" in inspector.locator(".hint").first.inner_text()
    assert f"not counting {code}" in inspector.locator(".hint").last.inner_text()
    inspector.get_by_text("What it costs to keep").click()
    inspector.get_by_text("and its code, which is not counted").wait_for()
    assert "times that" not in inspector.inner_text()
    place = show(page, address, "complete", ENCODER)
    wait_for_image(place)
    draw(place, 1, 0)
    assert "a code made of the known pixels, which is not counted" in place.inner_text()
    place = show(page, address, "sample", ENCODER)
    draw(place, 1, 0)
    assert f"Not counted: {code}" in place.inner_text()
    draw(show(page, address, "sample", PLAIN), 1, 0)
    assert "counted" not in place.inner_text()


def test_a_model_of_ones_own_is_named_by_its_folder(page, address):
    place = show(page, address, "sample", OWN)
    draw(place, 1, 0)
    command = place.locator("code").inner_text()
    assert command.startswith("nextpixel sample /")
    assert f"/{OWN} --count 1" in command


def test_images_of_two_colors_are_drawn_on_and_not_compared_with_png(page, address, tmp_path):
    place = show(page, address, "inspect", OWN)
    place.get_by_text("What it costs to keep").click()
    place.locator(".inspector .sizes").wait_for()
    assert "PNG" not in place.locator(".inspector").inner_text()
    place.get_by_text("Draw on the picture").click()
    field(place, "Draw").check()
    field(place, "Brush").select_option("1")
    place.locator(".board").press(" ")
    place.get_by_text("levels 3, 3.").wait_for()
    place = show(page, address, "compress", OWN)
    np.save(tmp_path / "two.npy", np.zeros((3, 2, 6, 5), np.uint8))
    field(place, "Images").set_input_files(tmp_path / "two.npy")
    place.locator(".sizes").wait_for()
    assert "PNG" not in place.locator(".output").first.inner_text()


def test_an_archive_gives_back_identical_images(page, address, tmp_path):
    place = show(page, address, "compress", PLAIN)
    images = npx.load_data("mnist", levels=2).test.levels[:20].numpy()
    np.save(tmp_path / "digits.npy", images)
    field(place, "Images").set_input_files(tmp_path / "digits.npy")
    place.get_by_text("20 images in").wait_for()
    archive = tmp_path / "digits.npx"
    archive.write_bytes(saved(page, place, "Download the archive").read_bytes())
    assert f"20 images in {archive.stat().st_size:,} bytes" in place.inner_text()
    field(place, "Archive").set_input_files(archive)
    place.get_by_text("20 images, every pixel as it was").wait_for()
    np.testing.assert_array_equal(np.load(saved(page, place, ".npy")), images)
    shown = np.stack([pixels(canvas) for canvas in place.locator(".tiles canvas").all()])
    np.testing.assert_array_equal(shown[..., 0], 255 * images[:, 0])


def test_files_that_are_no_images_and_no_archives_are_refused_at_their_inputs(
    page, address, tmp_path
):
    place = show(page, address, "compress", PLAIN)
    (tmp_path / "letter.txt").write_text("dear reader")
    field(place, "Images").set_input_files(tmp_path / "letter.txt")
    place.get_by_text("There is no picture and no .npy among these files.").wait_for()
    (tmp_path / "letter.npx").write_text("dear reader")
    field(place, "Archive").set_input_files(tmp_path / "letter.npx")
    browsers.until(lambda: place.locator(".field-archive .error").inner_text())


def tab_to(page, locator):
    """Press the tab key until the focus is there."""
    for _ in range(100):
        if locator.evaluate("node => node === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError("the focus never came there")


def test_all_can_be_done_by_keyboard(page, address):
    show(page, address, "sample")
    tab_to(page, page.locator("#tab-sample"))
    while page.evaluate("document.activeElement.id") != "tab-complete":
        page.keyboard.press("ArrowRight")
    assert "#complete" in page.url
    place = page.locator("#complete")
    board = wait_for_image(place)
    tab_to(page, place.get_by_role("button", name="Nothing"))
    page.keyboard.press("Enter")
    tab_to(page, field(place, "Brush"))
    page.keyboard.press("Home")
    tab_to(page, board)
    for erased, arrow in enumerate(("", "Down", "Left", "Up", "Up", "Right"), 1):
        if arrow:
            page.keyboard.press(f"Arrow{arrow}")
        page.keyboard.press(" ")
        words = f"{erased} pixel{'' if erased == 1 else 's'} erased."
        place.get_by_text(words, exact=True).wait_for()
    page.keyboard.press(" ")
    place.get_by_text("5 pixels erased.", exact=True).wait_for()
    tab_to(page, place.locator("button.main"))
    page.keyboard.press("Enter")
    place.locator(".verdict").wait_for()


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_fits_a_narrow_screen(page, address, view):
    page.set_viewport_size({"width": 360, "height": 740})
    show(page, address, view)
    page.wait_for_load_state("networkidle")
    width, screen = page.evaluate(scripts.SPREAD)
    assert width <= screen == 360


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_words_stand_out_from_their_background(page, address, view, scheme):
    page.emulate_media(color_scheme=scheme)
    show(page, address, view)
    page.wait_for_load_state("networkidle")
    found = page.evaluate(scripts.CONTRAST)
    assert len(found) > 10
    assert min(found)[0] >= 4.5, min(found)


def test_a_server_that_is_gone_is_said_in_words(page, address):
    place = show(page, address, "sample", PLAIN)
    page.route("**/api/sample", lambda route: route.abort())
    place.locator("button.main").click()
    place.get_by_text("The server does not answer.").wait_for()
