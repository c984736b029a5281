"""The stations of the view Ideas in a real browser: what they say, and that it is so.

What the page computes of masks and stacks is held to the library's own audit.
"""

import re

import pytest
import torch
import torch.nn.functional as F

import nextpixel as npx
from nextpixel.audit import field_of
from nextpixel.nn import VerticalConv2d
from nextpixel.nn.masks import causal_mask
from nextpixel.order import Step
from tests import browser_scripts as scripts
from tests import browsers

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(browsers.missing()), reason=f"not here: {browsers.missing()}"),
]
STATIONS = ("masks", "blind-spot", "shift", "gate", "cost")
CENTRE = Step(14, 14, 0)
NETS = [(1, 3), (2, 7), (5, 3), (7, 3), (7, 5), (15, 3), (15, 7)]
"""Layers, and the width of their kernels."""
CELL = re.compile(r"M(\d+) (\d+)")
SET = "(input, value) => { input.value = value; input.dispatchEvent(new Event('input')); }"

HIDE = """hidden => {
  Object.defineProperty(document, "hidden", { configurable: true, value: hidden });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture(scope="module")
def address():
    with browsers.serving("mnist2-gated") as found:
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
    found.emulate_media(reduced_motion="no-preference")
    watch = browsers.Watch(found, address)
    yield found
    found.close()
    assert watch.complaints == []
    assert watch.hosts <= {watch.own}


def show(page, address, station, **state):
    """A station, by its address."""
    query = "".join(f"&{name}={value}" for name, value in state.items())
    page.goto("about:blank")
    page.goto(f"{address}/#ideas?station={station}{query}")
    place = page.locator(f"#idea-{station}")
    place.wait_for()
    return place


def said(place):
    return place.locator(".said").inner_text()


def cells(grid, *kinds):
    """Rows and columns of the cells of these kinds."""
    drawn = [grid.locator(f"path.{kind}").get_attribute("d") for kind in kinds]
    return {(int(row), int(column)) for d in drawn for column, row in CELL.findall(d)}


def seen(model, step):
    """Rows and columns that the library's audit finds a prediction to depend on."""
    return {tuple(pixel) for pixel in field_of(model, step, probes=4)[0].nonzero().tolist()}


def plain(layers, side, shape=(1, 28, 28)):
    return npx.build(
        "pixelcnn", seed=0, shape=shape, levels=2, features=8, layers=layers, side=side
    )


def gated(layers, side, shape=(1, 28, 28)):
    """As many layers as a plain net: the first reads the image."""
    options = {"features": 4, "layers": layers - 1, "first_side": side, "side": side}
    return npx.build("gated-pixelcnn", seed=0, shape=shape, levels=2, **options)


@pytest.mark.parametrize("station", STATIONS)
def test_a_station_moves_by_itself_until_it_is_paused(page, address, station):
    place = show(page, address, station)
    before = place.locator(".shown").inner_html()
    browsers.until(lambda: place.locator(".shown").inner_html() != before)
    place.get_by_role("button", name="Pause").click()
    assert place.get_attribute("data-moving") == "false"
    before = place.inner_html()
    page.wait_for_timeout(1500)
    assert place.inner_html() == before
    place.get_by_role("button", name="Play").click()
    browsers.until(lambda: place.inner_html() != before)


@pytest.mark.parametrize("station", STATIONS)
def test_a_station_stands_still_for_whoever_wants_that_and_yet_says_something(
    page, address, station
):
    page.emulate_media(reduced_motion="reduce")
    place = show(page, address, station)
    before = place.inner_html()
    page.wait_for_timeout(1500)
    assert place.inner_html() == before
    assert place.get_attribute("data-moving") == "false"
    assert len(said(place)) > 40
    assert place.locator(".shown svg [d]:not([d=''])").count() > 2


def test_what_is_out_of_view_does_not_move(page, address):
    place = show(page, address, "masks")
    browsers.until(lambda: place.get_attribute("data-moving") == "true")
    last = page.locator("#idea-cost")
    assert last.get_attribute("data-moving") == "false"
    last.scroll_into_view_if_needed()
    browsers.until(lambda: last.get_attribute("data-moving") == "true")
    browsers.until(lambda: place.get_attribute("data-moving") == "false")
    page.locator("#tab-sample").click()
    browsers.until(lambda: last.get_attribute("data-moving") == "false")


def test_nothing_moves_in_a_page_that_nobody_sees(page, address):
    place = show(page, address, "masks")
    browsers.until(lambda: place.get_attribute("data-moving") == "true")
    page.evaluate(HIDE, True)
    assert place.get_attribute("data-moving") == "false"
    page.evaluate(HIDE, False)
    assert place.get_attribute("data-moving") == "true"


@pytest.mark.parametrize("mask", ["A", "B"])
def test_the_taps_under_the_pointer_are_those_of_the_mask(page, address, mask):
    place = show(page, address, "masks", mask=mask)
    surface = place.locator(".surface")
    point(page, surface, 4, 3)
    taps = causal_mask(5, 1, sees_self=mask == "B")[0, 0].nonzero().tolist()
    wanted = {(row + 2, column + 1) for row, column in taps}
    browsers.until(lambda: cells(surface, "tap") == wanted)
    shut = {(row, column) for row in range(2, 7) for column in range(1, 6)} - wanted
    assert cells(surface, "shut") == shut
    assert f"Mask {mask} at row 5, column 4: the kernel reads 12 earlier pixels" in said(place)


def point(page, surface, row, column):
    surface.scroll_into_view_if_needed()
    box = surface.bounding_box()
    page.mouse.move(
        box["x"] + box["width"] * (column + 0.5) / 11, box["y"] + box["height"] * (row + 0.5) / 9
    )


def test_the_kernel_stays_under_the_pointer_and_goes_on_when_that_leaves(page, address):
    place = show(page, address, "masks")
    surface = place.locator(".surface")
    point(page, surface, 2, 8)
    place.get_by_text("at row 3, column 9").wait_for()
    page.wait_for_timeout(1000)
    assert "at row 3, column 9" in said(place)
    page.mouse.move(2, 2)
    place.get_by_text("at row 3, column 10").wait_for()


@pytest.mark.parametrize("mask", ["A", "B"])
def test_the_colors_of_a_pixel_see_what_the_mask_lets_them(page, address, mask):
    place = show(page, address, "masks", mask=mask)
    groups = causal_mask(1, 3, sees_self=mask == "B")[..., 0, 0].tolist()
    for color, line in zip("RGB", groups, strict=True):
        names = [name for name, open_ in zip("RGB", line, strict=True) if open_]
        assert f"{color} sees {', '.join(names) or 'none of this pixel'}" in said(place)
    assert place.locator(".edge.open").count() == sum(map(sum, groups))


def test_the_kernel_is_moved_by_the_arrow_keys_and_stays_inside(page, address):
    place = show(page, address, "masks")
    surface = place.locator(".surface")
    for _ in range(9):
        surface.press("ArrowUp")
    for _ in range(11):
        surface.press("ArrowLeft")
    assert "at row 1, column 1: the kernel reads 0 earlier pixels" in said(place)
    surface.press("ArrowRight")
    assert "at row 1, column 2: the kernel reads 1 earlier pixel and not itself" in said(place)
    assert cells(surface, "frame") == {(0, 1)}
    assert cells(surface, "tap") == {(0, 0)}


@pytest.mark.parametrize(("layers", "side"), NETS)
def test_the_fields_of_one_stack_and_of_two_are_the_librarys(page, address, layers, side):
    place = show(page, address, "blind-spot", layers=layers, kernel=side)
    grids = place.locator("svg .grid")
    one, two = plain(layers, side), gated(layers, side)
    fields = [seen(model, CENTRE) for model in (one, two)]
    for i, field in enumerate(fields):
        assert cells(grids.nth(i), "seen", "new") == field
    assert one.reach == two.reach
    near = near_past(one.reach)
    blind = [len(near - field) for field in fields]
    assert cells(grids.first, "blind") == near - fields[0]
    assert blind[1] == 0
    assert (
        f"one stack sees {len(fields[0])} of 406 earlier pixels; it is blind to "
        f"{blind[0] or 'none'} within its reach. Two stacks see {len(fields[1])}, and are blind "
        "to none." in said(place)
    )


def near_past(reach):
    """Pixels before the centre, and no further than a net reaches."""
    rows, columns = range(15), range(28)
    past = {(row, column) for row in rows for column in columns if (row, column) < (14, 14)}
    return {pixel for pixel in past if max(abs(pixel[0] - 14), abs(pixel[1] - 14)) <= reach}


def test_layers_are_added_by_the_slider_and_by_time(page, address):
    place = show(page, address, "blind-spot", layers=15)
    slider = place.get_by_role("slider", name="Layers")
    slider.press("Home")
    assert said(place).startswith("With 1 layer of 3x3, one stack sees 4 of 406")
    slider.press("ArrowRight")
    assert said(place).startswith("With 2 layers of 3x3, one stack sees 11 of 406")
    place.get_by_text("7x7", exact=True).click()
    assert said(place).startswith("With 2 layers of 7x7")
    assert page.url.endswith("#ideas?station=blind-spot&layers=2&kernel=7")
    place.get_by_role("button", name="Play").click()
    place.get_by_text("With 3 layers of 7x7").wait_for()


@pytest.mark.parametrize("shift", ["on", "off"])
def test_without_the_shift_a_pixel_sees_itself_as_in_the_library(page, address, shift, monkeypatch):
    place = show(page, address, "shift", shift=shift)
    if shift == "off":
        monkeypatch.setattr(VerticalConv2d, "forward", unshifted)
    field = seen(gated(3, 3, shape=(1, 8, 9)), Step(5, 4, 0))
    grid = place.locator("svg .grid").nth(1)
    assert cells(grid, "given", "left", "leak") == field
    forbidden = {pixel for pixel in field if pixel >= (5, 4)}
    assert cells(grid, "leak") == forbidden
    assert f"holds {len(field - forbidden)} of 49 earlier pixels" in said(place)
    if shift == "on":
        assert not forbidden
        assert "and not the pixel itself" in said(place)
    else:
        assert (5, 4) in forbidden
        assert f"and {len(forbidden)} that it must not know: itself and" in said(place)


def unshifted(conv, x):
    """The vertical convolution, the first layer's not moved down by one row."""
    reach = conv.reach
    x = F.pad(x, (reach, reach, reach - conv.first, 0))
    return F.conv2d(x, conv.weight, conv.bias)


def test_the_shift_is_switched_off_and_on_by_its_control(page, address):
    place = show(page, address, "shift")
    place.get_by_text("Without", exact=True).click()
    place.get_by_text("that it must not know").wait_for()
    assert page.url.endswith("&shift=off")
    place.get_by_text("With the shift", exact=True).click()
    place.get_by_text("and not the pixel itself").wait_for()
    assert cells(place.locator("svg .grid").nth(1), "leak") == set()


def test_the_gate_lets_through_what_the_library_says(page, address):
    page.emulate_media(reduced_motion="reduce")
    place = show(page, address, "gate")
    slider = place.get_by_role("slider")
    for g in (-4.0, 0.0, 3.0):
        slider.evaluate(SET, str(g))
        gated = npx.nn.Gate()(torch.tensor([1.2, g]).view(1, 2, 1, 1)).item()
        values = place.locator(".value").all_inner_texts()
        assert float(values[2]) == pytest.approx(gated, abs=0.006)
        assert f"at most {torch.tensor(g).sigmoid():.2f}" in said(place)


def test_the_gate_stays_where_the_reader_puts_it_while_f_goes_on(page, address):
    place = show(page, address, "gate")
    place.get_by_role("slider").evaluate(SET, "2")
    dot = place.locator(".dot").first
    before = dot.get_attribute("cx")
    browsers.until(lambda: dot.get_attribute("cx") != before)
    assert said(place).startswith("With g = 2.0 the gate is open to 88.1 %")


@pytest.mark.parametrize(
    ("work", "naive", "engine"), [(1, 0, 1), (784, 1, 784), (7840, 10, 784), (614656, 784, 784)]
)
def test_the_same_work_draws_a_pixel_a_pass_or_a_pixel_a_place(page, address, work, naive, engine):
    place = show(page, address, "cost", work=work)
    assert f"has drawn {naive} of 784 pixels, and the engine {engine}." in said(place)
    assert place.locator("output").inner_text() == f"{work:,} places"
    drawn = [len(cells(grid, "black", "white")) for grid in place.locator("svg .grid").all()]
    assert drawn == [naive, engine]


def test_the_digit_is_the_one_that_the_model_draws(page, address):
    place = show(page, address, "cost", work=614656)
    rng = torch.Generator().manual_seed(4)
    levels = npx.sample(npx.load("mnist2-gated"), 1, rng=rng)[0, 0]
    wanted = {tuple(pixel) for pixel in levels.nonzero().tolist()}
    for grid in place.locator("svg .grid").all():
        assert cells(grid, "white") == wanted


def test_the_work_is_set_by_the_slider(page, address):
    place = show(page, address, "cost")
    slider = place.get_by_role("slider")
    slider.press("Home")
    assert said(place).startswith("With 1 place of the network computed")
    slider.press("End")
    assert said(place).startswith("With 614,656 places of the network computed")
    assert page.url.endswith("station=cost&work=614656")


def test_a_link_of_the_list_leads_to_its_station(page, address):
    page.goto(f"{address}/#ideas")
    page.get_by_role("link", name="The gate").click()
    heading = page.get_by_role("heading", name="The gate")
    browsers.until(lambda: heading.evaluate("node => node === document.activeElement"))
    assert page.evaluate("scrollY") > 0
    assert page.locator("#tab-ideas").get_attribute("aria-selected") == "true"
    page.evaluate("scrollTo(0, 0)")
    page.get_by_role("link", name="The gate").click()
    assert page.evaluate("scrollY") > 0
    page.get_by_role("link", name="The blind spot").click()
    page.go_back()
    browsers.until(lambda: heading.evaluate("node => node === document.activeElement"))


def test_a_station_has_one_paragraph_a_sentence_and_two_of_them(page, address):
    page.goto(f"{address}/#ideas")
    page.locator(".station").first.wait_for()
    assert page.locator(".station").count() == len(STATIONS)
    for text in page.locator(".station .text").all():
        words = text.locator("p").all_inner_texts()
        assert [len(re.findall(r"\.(?:\s|$)", one)) for one in words] == [1, 1]


def test_stations_need_no_model(page, address):
    answer = {"models": [], "limits": {}}
    page.route("**/api/models", lambda route: route.fulfill(json=answer))
    place = show(page, address, "blind-spot", layers=2)
    assert "With 2 layers" in said(place)


@pytest.mark.parametrize("width", [360, 768, 1440])
def test_stations_fit_the_screen(page, address, width):
    page.set_viewport_size({"width": width, "height": 740})
    show(page, address, "shift", shift="off")
    wide, screen = page.evaluate(scripts.SPREAD)
    assert wide <= screen == width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_their_background(page, address, scheme):
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    show(page, address, "masks")
    found = page.evaluate(scripts.CONTRAST)
    assert len(found) > 60
    assert min(found)[0] >= 4.5, min(found)
