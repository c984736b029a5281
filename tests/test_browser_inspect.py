"""Look inside in a real browser: what the page shows of a pixel is what the library says of it."""

import itertools
import json
import math

import numpy as np
import pytest
import torch

import nextpixel as npx
from nextpixel.audit import field_of
from nextpixel.order import Step
from nextpixel.receptive import receptive_fields
from tests import browser_scripts as scripts
from tests import browsers
from tests.test_browser import (  # noqa: F401
    browser,
    cell,
    field,
    page,
    pixels,
    queue,
    wait_for_image,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(browsers.missing()), reason=f"not here: {browsers.missing()}"),
]
ONE_STACK, TWO_STACKS, CLASS, SEES_ALL = (
    "mnist-fast", "mnist2-gated", "mnist2-gated-class", "mnist-transformer",
)  # fmt: skip
OWN_PLAIN, OWN_GATED, LARGE = "own-plain", "own-gated", "own-large"
"""Models of the reader's own: two of the same digits, one of images too large to ask for whole."""
DIGITS = {"name": "digits", "levels": 17, "protocol": "levels"}


PAIR = """async names => {
  const { firstPair } = await import("/static/pairs.js");
  const { models } = await (await fetch("/api/models")).json();
  return firstPair(models.filter(({ name }) => names.includes(name))).map(({ name }) => name);
}"""
"""Which two of these models the view begins with."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    small = {"shape": (1, 8, 8), "levels": 17, "features": 4, "layers": 2, "seed": 0}
    npx.save(npx.build("gated-pixelcnn", **small), folder / OWN_GATED, data=DIGITS)
    npx.save(npx.build("pixelcnn", **small), folder / OWN_PLAIN, data=DIGITS)
    large = npx.build("pixelcnn", shape=(1, 66, 65), levels=256, features=8, layers=1, side=3)
    npx.save(large, folder / LARGE)
    return [str(folder / name) for name in (OWN_GATED, OWN_PLAIN, LARGE)]


@pytest.fixture(scope="module")
def address(folders):
    with browsers.serving(ONE_STACK, TWO_STACKS, CLASS, SEES_ALL, *folders) as found:
        browsers.until(lambda: queue(found)["ready"], seconds=300)  # compiled, if it was not yet
        yield found


@pytest.fixture
def calm(page):  # noqa: F811
    """A reader who wants no motion: the pointer is at once where it comes to rest."""
    page.emulate_media(reduced_motion="reduce")
    return page


def show(reader, address, query=""):
    """Open the view by its address, and wait for its numbers."""
    reader.goto("about:blank")
    reader.goto(f"{address}/#inspect{query}")
    place = reader.locator("#inspect")
    settled(place)
    return place


def settled(place):
    """Wait until nothing is under way."""
    place.locator(".inspector figcaption").filter(has_text="bits in all").first.wait_for()
    browsers.until(lambda: not place.locator("[aria-busy=true]").count())


def choose(place, label, name):
    field(place, label).select_option(name)
    settled(place)


def digits(count=10):
    """Test images of the protocols at hand, by the models that learned from them."""
    threshold = npx.load_data("mnist", levels=2).test
    return threshold.levels[:count], threshold.labels[:count]


def pointed_at(place):
    """Row and column, from 0, of the pixel pointed at."""
    words = place.locator(".seen .status").inner_text()
    row, column = (int(part.split()[-1]) for part in words.split(":")[0].split(","))
    return row - 1, column - 1


def distributions(name, image, label=None):
    model = npx.load(name)
    with torch.inference_mode():
        found = model(image, None if label is None else torch.tensor([label]))
    bits = -found.log_prob(image)[0, 0] / math.log(2)
    return found.logits[0, 0].exp().numpy(), bits.numpy()


def shown_image(place):
    """Levels of the picture that is picked, (1, 1, 28, 28)."""
    canvas = pixels(place.locator(".strip [aria-pressed=true] canvas"))
    return torch.from_numpy((canvas[None, None, :, :, 0] > 0).astype(np.int64))


def test_any_pixel_pointed_at_shows_what_models_predict_and_see(calm, address):
    place = show(calm, address, f"?model={ONE_STACK}&second={SEES_ALL}")
    board, image = wait_for_image(place), shown_image(place)
    board.scroll_into_view_if_needed()
    names = [place.locator(".inspector h3").nth(i).inner_text() for i in (0, 1)]
    for row, column in ((9, 12), (0, 0), (27, 27), (14, 20), (20, 3)):
        calm.mouse.move(*cell(board, row, column))
        for i, name in enumerate(names):
            chance, bits = distributions(name, image)
            share = 100 * float(chance[row, column, image[0, 0, row, column]])
            inspector = place.locator(".inspector").nth(i)
            cost = max(0, float(bits[row, column]))
            if 0.1 <= share <= 99.9:
                inspector.get_by_text(f"given {share:.1f} %: {cost:.2f} bits").wait_for()
            seen = int(receptive_fields(npx.load(name))[row * 28 + column].sum())
            before = row * 28 + column
            pixel = "pixel" if before == 1 else "pixels"
            inspector.get_by_text(f"Sees {seen} of {before} earlier {pixel}.").wait_for()


def test_pointing_asks_the_server_nothing(calm, address):
    place = show(calm, address, f"?model={ONE_STACK}&second={SEES_ALL}")
    board = wait_for_image(place)
    board.scroll_into_view_if_needed()
    asked = []
    calm.on("request", lambda request: asked.append(request.url))
    for row, column in itertools.product(range(0, 28, 3), range(0, 28, 9)):
        calm.mouse.move(*cell(board, row, column))
        place.get_by_text(f"Row {row + 1}, column {column + 1}:").wait_for()
    assert asked == []


def test_it_begins_with_a_blind_spot_and_none_of_the_same_levels(calm, address):
    place = show(calm, address)
    model, second = field(place, "Model"), field(place, "Compare with")
    assert [model.input_value(), second.input_value()] == [OWN_PLAIN, OWN_GATED]
    assert place.locator(".unlike").inner_text() == ""
    pair = calm.evaluate(PAIR, [ONE_STACK, TWO_STACKS, CLASS, SEES_ALL])
    assert pair == [ONE_STACK, SEES_ALL]
    place = show(calm, address, f"?model={pair[0]}&second={pair[1]}&row=21&column=8")
    one, other = (place.locator(".inspector .field-words").nth(i).inner_text() for i in (0, 1))
    assert "lie in its blind spot" in one
    assert "It has no blind spot" in other


def test_models_of_unlike_levels_are_marked_as_such(calm, address):
    place = show(calm, address, f"?model={ONE_STACK}&second={SEES_ALL}")
    faces = field(place, "Compare with").locator("option").all_inner_texts()
    other = [face for face in faces if face.endswith("(other levels)")]
    assert [any(name in face for face in other) for name in (TWO_STACKS, SEES_ALL)] == [True, False]
    assert faces.index(other[0]) > next(i for i, face in enumerate(faces) if SEES_ALL in face)
    choose(place, "Compare with", TWO_STACKS)
    assert "bits cannot be compared" in place.locator(".unlike").inner_text()
    choose(place, "Compare with", SEES_ALL)
    assert place.locator(".unlike").inner_text() == ""


def test_it_begins_where_the_models_differ_most(calm, address):
    place = show(calm, address, f"?model={ONE_STACK}&second={SEES_ALL}")
    image = shown_image(place)
    one, other = (distributions(name, image)[0] for name in (ONE_STACK, SEES_ALL))
    apart = np.abs(one - other).sum(-1)
    assert apart[pointed_at(place)] == pytest.approx(apart.max(), rel=1e-4)
    choose(place, "Compare with", "")
    place.locator(".strip button").nth(3).click()
    settled(place)
    chance, _ = distributions(ONE_STACK, shown_image(place))
    entropy = -(chance * np.log2(np.maximum(chance, 1e-30))).sum(-1)
    browsers.until(lambda: entropy[pointed_at(place)] > 0.999 * entropy.max())


def test_the_field_of_the_chosen_model_tints_the_picture(calm, address):
    place = show(calm, address, f"?model={ONE_STACK}&second={SEES_ALL}&row=20&column=11")
    board = place.locator(".board")
    fields = [receptive_fields(npx.load(name))[19 * 28 + 10] for name in (ONE_STACK, SEES_ALL)]
    for name, seen in zip((ONE_STACK, SEES_ALL), fields, strict=True):
        field(place, name).check()
        colors = pixels(board.evaluate_handle(scripts.SMALL)).reshape(-1, 3).astype(int)
        blue = colors[:, 2] - colors[:, 0] > 20
        assert (blue == seen).mean() > 0.99
    field(place, "none").check()
    plain = pixels(board.evaluate_handle(scripts.SMALL)).astype(int)
    assert (plain.max(-1) == plain.min(-1)).mean() > 0.99
    assert not place.locator(".legend").is_visible()


def test_both_maps_of_surprise_have_one_scale(calm, address):
    place = show(calm, address, f"?model={ONE_STACK}&second={SEES_ALL}&image=7")
    maps = place.locator(".map")
    image = shown_image(place)
    each = [distributions(name, image)[1].max() for name in (ONE_STACK, SEES_ALL)]
    assert len(set(map(math.ceil, each))) == 2  # else scales of their own would be the same
    most = max(each)
    ends = {maps.nth(i).get_attribute("data-most") for i in (0, 1)}
    assert ends == {str(math.ceil(most))}
    assert f"{math.ceil(most)} bits" in place.locator(".scaled .axis").inner_text()
    place.get_by_text("What is a bit?").click()
    assert place.get_by_text("one yes-or-no question").is_visible()


def test_models_get_the_images_own_class(calm, address):
    place = show(calm, address, f"?model={TWO_STACKS}&second={CLASS}")
    images, labels = digits()
    chosen = field(place, "Class")
    for number in (0, 3, 7):
        place.locator(".strip button").nth(number).click()
        settled(place)
        assert chosen.input_value() == str(int(labels[number]))
        _, bits = distributions(CLASS, images[number : number + 1], int(labels[number]))
        place.locator(".inspector").nth(1).get_by_text(f"{bits.sum():.1f} bits in all").wait_for()
    place.locator(".field-label").get_by_text("The image's own.").wait_for()
    chosen.select_option("2")
    _, bits = distributions(CLASS, images[7:8], 2)
    place.locator(".inspector").nth(1).get_by_text(f"{bits.sum():.1f} bits in all").wait_for()
    own = f"Not the image's own, which is {int(labels[7])}."
    place.locator(".field-label").get_by_text(own).wait_for()


def test_a_model_chosen_later_gets_the_images_class_too(calm, address):
    place = show(calm, address, f"?model={TWO_STACKS}&image=4")
    choose(place, "Compare with", CLASS)
    assert field(place, "Class").input_value() == str(int(digits()[1][3]))


def test_a_pixel_drawn_while_inspecting_changes_the_bits(calm, address):
    place = show(calm, address, f"?model={TWO_STACKS}")
    board = wait_for_image(place)
    before = place.get_by_text("bits in all").first.inner_text()
    place.get_by_text("Draw on the picture").click()
    field(place, "Draw").check()
    calm.mouse.click(*cell(board, 25, 3))
    browsers.until(lambda: place.get_by_text("bits in all").first.inner_text() != before)


# Old numbers


class Held:
    """Requests for insight that wait until they are let go."""

    def __init__(self, reader):
        self.routes = []
        reader.route("**/api/inspect", lambda route: self.routes.append(route))
        self.reader = reader

    def models(self):
        return [route.request.post_data_json["model"] for route in self.routes]

    def wait(self, count):
        browsers.until(lambda: self.reader.wait_for_timeout(20) or len(self.routes) >= count)

    def let_go(self):
        for route in self.routes:
            route.continue_()
        self.reader.unroute("**/api/inspect")


def test_old_numbers_are_marked_until_the_new_ones_come(calm, address):
    place = show(calm, address, f"?model={ONE_STACK}&second={SEES_ALL}")
    old = place.locator(".inspector figcaption").last.inner_text()
    held = Held(calm)
    place.locator(".strip button").nth(1).click()
    held.wait(2)
    assert place.locator(".inspector[aria-busy=true]").count() == 2
    dimmed = place.locator(".inspector figcaption").last
    assert dimmed.inner_text() == old
    assert dimmed.evaluate("n => getComputedStyle(n.closest('figure')).opacity") == "0.35"
    held.let_go()
    settled(place)
    assert place.locator(".inspector figcaption").last.inner_text() != old


def test_figures_of_another_model_do_not_stay_under_a_new_name(calm, address):
    place = show(calm, address, f"?model={ONE_STACK}")
    held = Held(calm)
    field(place, "Model").select_option(TWO_STACKS)
    held.wait(1)
    first = place.locator(".inspector").first
    assert first.locator("h3").inner_text() == TWO_STACKS
    assert "bits in all" not in first.inner_text()
    assert first.locator(".bars").count() == 0
    field(place, "Model").select_option(SEES_ALL)
    browsers.until(lambda: calm.wait_for_timeout(20) or SEES_ALL in held.models())
    held.let_go()
    settled(place)
    _, bits = distributions(SEES_ALL, shown_image(place))
    assert first.locator("h3").inner_text() == SEES_ALL
    assert f"{bits.sum():.1f} bits in all" in first.inner_text()


def test_a_busy_server_is_asked_again_with_a_word(calm, address):
    place = show(calm, address, f"?model={ONE_STACK}&second={SEES_ALL}")
    refusal = {"detail": "the engine is busy", "field": None}
    busy = {"status": 503, "content_type": "application/json", "body": json.dumps(refusal)}
    tries = []

    def answer(route):
        tries.append(1)
        route.fulfill(**busy) if len(tries) < 4 else route.continue_()

    calm.route("**/api/inspect", answer)
    place.locator(".strip button").nth(2).click()
    place.get_by_text("The server is busy with others; asking again.").first.wait_for()
    settled(place)
    assert len(tries) >= 5
    assert place.get_by_text("The server is busy").count() == 0
    assert place.locator(".inspector .error:not(:empty)").count() == 0


def test_a_server_that_is_gone_is_said_at_the_model(calm, address):
    place = show(calm, address, f"?model={ONE_STACK}&second={SEES_ALL}")
    calm.route("**/api/inspect", lambda route: route.abort())
    place.locator(".strip button").nth(2).click()
    words = place.locator(".inspector .error").filter(has_text="The server does not answer.")
    browsers.until(lambda: words.count() == 2)
    assert place.locator("[aria-busy=true]").count() == 0


# The address


def test_an_address_opens_at_its_models_image_pixel_and_class(calm, address):
    query = f"?model={TWO_STACKS}&second={CLASS}&image=14&row=13&column=5&label=8"
    place = show(calm, address, query)
    assert field(place, "Model").input_value() == TWO_STACKS
    assert field(place, "Compare with").input_value() == CLASS
    assert field(place, "Class").input_value() == "8"
    assert pointed_at(place) == (12, 4)
    pressed = place.locator(".strip [aria-pressed=true]").get_attribute("aria-label")
    assert pressed.startswith("Test image 14,")
    images, _ = digits(14)
    np.testing.assert_array_equal(shown_image(place), images[13:])


def test_the_address_follows_the_reader_and_a_reload_restores(calm, address):
    place = show(calm, address, f"?model={TWO_STACKS}&second={CLASS}")
    place.locator(".strip button").nth(5).click()
    settled(place)
    board = wait_for_image(place)
    board.press("Home")
    board.press("ArrowDown")
    where = pointed_at(place)
    query = f"image=6&row={where[0] + 1}&column=1"
    browsers.until(lambda: query in calm.evaluate("location.hash"))
    models = f"#inspect?model={TWO_STACKS}&second={CLASS}&"
    assert calm.evaluate("location.hash").startswith(models)
    calm.reload()
    settled(place)
    browsers.until(lambda: pointed_at(place) == where)
    assert place.locator(".strip button").nth(5).get_attribute("aria-pressed") == "true"


def test_an_address_of_nonsense_opens_what_it_can(calm, address):
    place = show(calm, address, "?model=none&row=-4&column=x&image=0&label=zz")
    assert field(place, "Model").input_value() == OWN_PLAIN
    place = show(calm, address, f"?model={ONE_STACK}&second=own-large&row=99&column=1")
    assert max(pointed_at(place)) < 28


# Motion


def test_the_pointer_walks_on_arrival_until_it_is_touched(page, address):  # noqa: F811
    page.emulate_media(reduced_motion="no-preference")
    place = show(page, address, f"?model={ONE_STACK}&second={SEES_ALL}")
    first = pointed_at(place)
    browsers.until(lambda: page.wait_for_timeout(20) or pointed_at(place) != first)
    place.locator(".board").press("Home")
    rest = pointed_at(place)
    page.wait_for_timeout(2500)
    assert pointed_at(place) == rest


# Tasks


def tasks(place):
    place.get_by_text("Five things to find").click()
    place.locator(".tasks li").nth(4).wait_for()
    return place.locator(".guide")


def press(place, row, column):
    """Go to a pixel by keyboard, and press it."""
    board = place.locator(".board")
    at, row, column = pointed_at(place), int(row), int(column)
    board.focus()
    for steps, keys in ((row - at[0], "Up Down"), (column - at[1], "Left Right")):
        key = keys.split()[steps > 0]
        for _ in range(abs(steps)):
            board.press(f"Arrow{key}")
    assert pointed_at(place) == (row, column)
    board.press(" ")


def test_tasks_are_folded_away_and_wrong_answers_are_said_to_be(calm, address):
    place = show(calm, address, f"?model={ONE_STACK}&second={SEES_ALL}")
    assert not place.locator(".tasks").is_visible()
    guide = tasks(place)
    assert guide.locator(".tasks li").count() == 5
    press(place, 0, 0)
    guide.get_by_text("Not this one. This one cost 0.0 bits").wait_for()
    assert guide.locator(".done").count() == 0
    guide.get_by_role("button", name="Hint").click()
    guide.get_by_text("one darkest pixel").wait_for()


def test_all_five_tasks_can_be_solved_by_keyboard(calm, address):
    place = show(calm, address, f"?model={ONE_STACK}&second={SEES_ALL}&image=7")
    image = shown_image(place)
    (one, bits), (other, _) = (distributions(name, image) for name in (ONE_STACK, SEES_ALL))
    guide = tasks(place)
    press(place, *np.argwhere(bits == bits.max())[0])
    guide.get_by_text("(1 of 5 found)").wait_for()
    entropy = -(one * np.log2(np.maximum(one, 1e-30))).sum(-1)
    press(place, *np.argwhere(entropy == entropy.max())[0])
    guide.get_by_text("(2 of 5 found)").wait_for()
    sure = np.stack([one.max(-1), other.max(-1)])
    press(place, *np.argwhere((sure.max(0) >= 0.851) & (sure.min(0) <= 0.699))[0])
    guide.get_by_text("(3 of 5 found)").wait_for()
    fields, ink = receptive_fields(npx.load(ONE_STACK)), image.flatten().numpy() > 0
    press(place, *hides(fields, ink))
    guide.get_by_text("(4 of 5 found)").wait_for()
    place.get_by_text("Draw on the picture").click()
    field(place, "Draw").check()
    field(place, "Brush").select_option("1")
    press(place, 26, 2)
    guide.get_by_text("Found, and all five solved.").wait_for()
    assert guide.locator(".done").count() == 5


def hides(fields, ink):
    """A pixel in whose blind spot is ink, by the box around what it sees."""
    places = np.stack(np.divmod(np.arange(784), 28))
    for pixel in range(28, 784):
        seen = places[:, fields[pixel] | (np.arange(784) == pixel)]
        low, high = seen.min(1, keepdims=True), seen.max(1, keepdims=True)
        box = ((places >= low) & (places <= high)).all(0)
        if (ink & box & ~fields[pixel] & (np.arange(784) < pixel)).any():
            return divmod(pixel, 28)
    raise AssertionError("nothing is hidden")


def test_a_task_that_no_pixel_solves_says_so_and_offers_another_image(calm, address):
    place = show(calm, address, f"?model={SEES_ALL}&image=1")
    guide = tasks(place)
    guide.get_by_role("button", name="in a blind spot").click()
    guide.get_by_text("No model shown here has anything of this drawing").wait_for()
    guide.get_by_text("Try another image.").wait_for()
    assert guide.get_by_role("button", name="Hint").is_disabled()
    guide.get_by_role("button", name="Another image").click()
    browsers.until(
        lambda: place.locator(".strip button").nth(1).get_attribute("aria-pressed") == "true"
    )


# Images of other kinds


def test_images_too_large_to_ask_for_whole_are_asked_for_pixel_by_pixel(calm, address, folders):
    place = show(calm, address, f"?model={LARGE}")
    board = place.locator(".board")
    board.press("Home")
    board.press("ArrowRight")
    place.get_by_text("Row 34, column 2:").wait_for()
    settled(place)
    image = torch.zeros(1, 1, 66, 65, dtype=torch.int64)
    model = npx.load(folders[-1])
    with torch.inference_mode():
        chance = float(model(image).logits[0, 0, 33, 1, 0].exp())
    place.locator(".inspector").get_by_text(f"given {100 * chance:.1f} %").wait_for()
    seen = int(field_of(model, Step(33, 1, 0)).sum())
    place.get_by_text(f"Sees {seen} of {33 * 65 + 1:,} earlier pixels").wait_for()
    tasks(place)
    place.get_by_text("These need numbers of all pixels at once").wait_for()
