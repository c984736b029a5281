"""The exhibit opened from the disk in a real browser: it computes what Python's engine computes.

Levels are compared one by one. A wrong last bit changes a level once in millions, so
log-probabilities are compared too, to the bit: a planted fault of one rounding shows in them.
"""

import json
from dataclasses import dataclass

import numpy as np
import pytest
import torch

import nextpixel as npx
from nextpixel.audit import field_of
from nextpixel.engine.cpu import executor
from nextpixel.exhibit import build
from nextpixel.heads.truncation import Truncation
from nextpixel.likelihood import evaluation_mode
from nextpixel.nn import ClassCondition
from nextpixel.order import Step
from nextpixel.sampling.draw import draw_uniforms
from tests import browser_scripts as scripts
from tests import browsers

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(browsers.missing()), reason=f"not here: {browsers.missing()}"),
]
SHIPPED = "mnist2-gated-class"
BATCH = 50
FILL = """async text => {
  const found = [];
  for (const { levels, known, uniforms, ...more } of JSON.parse(text)) {
    const request = { ...more, levels, known, uniforms };
    const made = await nextpixel.engine.fill(request);
    found.push({ levels: Array.from(made.levels), total: made.total });
  }
  return JSON.stringify(found);
}"""
FIELD = "async ([row, column]) => Array.from(await nextpixel.engine.field(row, column))"


@dataclass
class Batch:
    """Images to be drawn."""

    levels: torch.Tensor
    known: torch.Tensor
    uniforms: torch.Tensor
    labels: torch.Tensor | None
    temperature: float = 1.0


def batch_of(model, count, *, known_share=0.0, temperature=1.0):
    """Random uniforms, a share of random pixels that are known, and all classes in turn."""
    rng = torch.Generator().manual_seed(7)
    shape = (count, *model.shape)
    classes = sum(one.classes for one in model.conditioner.conditions)
    return Batch(
        torch.randint(model.levels, shape, generator=rng),
        torch.rand(shape, generator=rng) < known_share,
        draw_uniforms(count, model.shape, rng),
        torch.arange(count) % classes if classes else None,
        temperature,
    )


def by_python(model, batch):
    """Levels (B, H, W) and log-probabilities (B,), of Python's engine."""
    with evaluation_mode(model), torch.inference_mode():
        embedding = model.condition(batch.labels, len(batch.levels))
        levels, log_p = executor.fill(
            model, batch.levels, batch.known, batch.uniforms, embedding,
            truncation=Truncation(temperature=batch.temperature), on_row=None,
        )  # fmt: skip
    return levels[:, 0].numpy(), log_p.numpy()


def by_page(page, batch):
    """The same, of the page's."""
    requests = [
        {
            "levels": batch.levels[n].flatten().tolist(),
            "known": batch.known[n].flatten().int().tolist(),
            "uniforms": batch.uniforms[n].flatten().tolist(),
            "label": 0 if batch.labels is None else int(batch.labels[n]),
            "temperature": batch.temperature,
        }
        for n in range(len(batch.levels))
    ]
    found = []
    for first in range(0, len(requests), BATCH):
        found += json.loads(page.evaluate(FILL, json.dumps(requests[first : first + BATCH])))
    levels = np.array([one["levels"] for one in found])
    return levels.reshape(batch.levels[:, 0].shape), np.array([one["total"] for one in found])


def write(folder, model, *, images=None):
    """The exhibit of a model; its address on the disk."""
    count = 1 if images is None else len(images)
    blank = torch.zeros(count, *model.shape, dtype=torch.uint8)
    shown = build.Shown("mine", "a model", blank if images is None else images, None)
    build.build(folder, model, shown)
    return (folder / "index.html").as_uri()


@pytest.fixture(scope="module")
def shipped():
    return npx.load(SHIPPED)


@pytest.fixture(scope="module")
def address(shipped, tmp_path_factory):
    test = npx.load_data("mnist", levels=2).test
    shown = build.Shown(SHIPPED, "digits", test.levels[:8], test.labels[:8])
    folder = tmp_path_factory.mktemp("exhibit")
    build.build(folder, shipped, shown)
    return (folder / "index.html").as_uri()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with browsers.browsing(tmp_path_factory.mktemp("profile")) as found:
        found.set_default_timeout(120_000)
        yield found


@pytest.fixture
def page(browser):
    """A page that asks for files of the disk only, and says nothing on the console."""
    found = browser.new_page()
    found.set_viewport_size({"width": 1100, "height": 800})
    asked, said = [], []
    found.on("request", lambda request: asked.append(request.url.split(":")[0]))
    found.on("console", lambda message: said.append(message.text))
    found.on("pageerror", lambda error: said.append(str(error)))
    yield found
    found.close()
    assert said == []
    assert set(asked) <= {"file", "blob"}


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.long)])
def test_images_have_the_levels_of_pythons_engine(page, address, shipped, count):
    page.emulate_media(reduced_motion="reduce")  # so that the page draws little of its own
    page.goto(address)
    batch = batch_of(shipped, count)
    levels, log_p = by_python(shipped, batch)
    found, found_log_p = by_page(page, batch)
    assert int((found != levels).sum()) == 0
    assert (found_log_p == log_p).all()
    assert len(np.unique(levels, axis=0)) == count


MODELS = {
    "plain": ("pixelcnn", {"layers": 2, "features": 8, "side": 5}),
    "batch-norm": ("pixelcnn", {"layers": 2, "features": 10, "batch_norm": True}),
    "skip": ("gated-pixelcnn", {"layers": 2, "features": 10, "skip": True, "dilations": (1, 2)}),
    "position": ("gated-pixelcnn", {"layers": 1, "features": 16, "position": True}),
    "residual": ("residual-pixelcnn", {"blocks": 2, "features": 24, "inner": 12}),
    "five-levels": ("gated-pixelcnn", {"layers": 1, "features": 20, "levels": 5}),
    "all-levels": ("residual-pixelcnn", {"blocks": 1, "features": 16, "levels": 256}),
} | {
    f"class-{form}": (
        "gated-pixelcnn",
        {"layers": 1, "features": 8, "condition": (ClassCondition(3, form=form),)},
    )
    for form in ("input", "bias", "gate", "map")
}


def made(name):
    """A small model with random weights, none of them zero."""
    kind, options = MODELS[name]
    torch.manual_seed(0)
    model = npx.build(kind, **{"shape": (1, 9, 11), "levels": 2, **options})
    with torch.no_grad():
        for weight in [*model.parameters(), *model.buffers()]:
            if weight.is_floating_point():
                weight.add_(0.3 * torch.rand_like(weight))
    return model.eval()


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("name", MODELS)
def test_a_page_completes_as_pythons_engine_does(page, tmp_path, name, temperature):
    model = made(name)
    page.goto(write(tmp_path, model))
    batch = batch_of(model, 12, known_share=0.3, temperature=temperature)
    levels, log_p = by_python(model, batch)
    found, found_log_p = by_page(page, batch)
    assert (found == levels).all()
    assert (found_log_p == log_p).all()


FAULTS = {
    "a product is fused with its sum": (
        "steps.js",
        [("a = f(a + f(x * weights[w]));", "a = f(a + x * weights[w]);")],
    ),
    "biases are added last": (
        "steps.js",
        [
            ("let [a, b, c, d] = [state[t],", "let [a, b, c, d] = [0,"),
            ("state[t] = a;", "state[t] += a;"),
        ],
    ),
    "a series is summed in 64 bits": (
        "numbers.js",
        [("total = f(f(total * r) + T4);", "total = total * r + T4;")],
    ),
    "a gate divides by another product": (
        "numbers.js",
        [("f(f(a + 1) * f(b + 1))", "f(f(f(a + b) + 1) + f(a * b))")],
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_one_rounding_is_seen(page, tmp_path, monkeypatch, shipped, fault):
    name, changes = FAULTS[fault]
    sources = {folder: build.sources_of(folder) for folder in (build.HERE, build.PLAYGROUND)}
    for right, wrong in changes:
        assert sources[build.HERE][name].count(right) == 1
        sources[build.HERE][name] = sources[build.HERE][name].replace(right, wrong)
    monkeypatch.setattr(build, "sources_of", sources.__getitem__)
    page.goto(write(tmp_path, shipped))
    batch = batch_of(shipped, 4)
    _, log_p = by_python(shipped, batch)
    _, found = by_page(page, batch)
    assert (found != log_p).any()
    np.testing.assert_allclose(found, log_p, rtol=1e-3)


@pytest.mark.parametrize("name", ["plain", "skip", "residual", "class-map"])
def test_the_field_of_a_pixel_is_that_of_the_derivatives(page, tmp_path, name):
    model = made(name)
    page.goto(write(tmp_path, model))
    for row, column in [(0, 0), (4, 0), (5, 6), (8, 10)]:
        field = field_of(model, Step(row, column, 0)).any(0).flatten().int()
        assert page.evaluate(FIELD, [row, column]) == field.tolist()


def test_a_page_without_its_model_says_so(browser, tmp_path):
    address = write(tmp_path, made("plain"))
    (tmp_path / "model.js").write_text("globalThis.nextp")
    page = browser.new_page()
    page.goto(address)
    page.get_by_role("alert").get_by_text("model.js is missing").wait_for()
    page.close()


def test_a_worker_that_fails_is_said_in_words(browser, address):
    page = browser.new_page()
    page.goto(address)
    page.evaluate("() => { nextpixel.engine.ask('no such question', {}); }")
    page.get_by_role("alert").get_by_text("The worker of this page has failed.").wait_for()
    page.close()


def cells(canvas, side=28):
    """What is painted, uint8, (side, side, 3)."""
    small = canvas.evaluate_handle(scripts.SMALL)
    height, width, *data = small.evaluate(scripts.PIXELS)
    return np.array(data, np.uint8).reshape(height, width, 4)[..., :3]


def drawn(canvas):
    """How many pixels of a picture are drawn."""
    return int((cells(canvas) != (74, 118, 178)).any(2).sum())


def stage(page):
    """The large picture of the section Draw."""
    return page.locator("#draw .stage")


def test_a_digit_draws_itself_on_arrival_and_the_keyboard_stops_it(page, address):
    page.goto(address)
    browsers.until(lambda: 60 < drawn(stage(page)) < 28 * 28)
    page.locator("#draw").get_by_role("button", name="Pause").focus()
    page.keyboard.press("Enter")
    page.locator("#draw").get_by_role("button", name="Play").wait_for()
    before = drawn(stage(page))
    where = page.locator("#draw h3").inner_text()
    page.wait_for_timeout(300)
    assert drawn(stage(page)) == before
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    browsers.until(lambda: page.locator("#draw h3").inner_text() != where)
    assert drawn(stage(page)) == before + 1


def test_a_finished_digit_is_followed_by_the_next(page, address):
    page.goto(address)
    page.get_by_label("Speed").fill("3")
    browsers.until(lambda: drawn(stage(page)) == 28 * 28)
    first = cells(stage(page))
    browsers.until(lambda: drawn(stage(page)) < 28 * 28)
    browsers.until(lambda: drawn(stage(page)) == 28 * 28)
    assert (cells(stage(page)) != first).any()


def test_a_reader_who_wants_no_motion_gets_a_whole_digit(page, address):
    page.emulate_media(reduced_motion="reduce")
    page.goto(address)
    page.locator("#draw").get_by_text("Row 28, column 28").wait_for()
    page.locator("#draw").get_by_role("button", name="Play").wait_for()
    page.wait_for_timeout(500)
    assert drawn(stage(page)) == 28 * 28


def test_a_picture_of_the_wall_is_shown_large(page, address):
    page.goto(address)
    page.get_by_label("Speed").fill("3")
    tile = page.locator(".wall button").nth(2)
    tile.click()
    browsers.until(lambda: drawn(tile.locator("canvas")) == 28 * 28)
    small = cells(tile.locator("canvas"))
    browsers.until(lambda: (cells(stage(page)) == small).all())


def fill(page, address):
    """The section Complete, when its first completions are there."""
    page.goto(address)
    place = page.locator("#fill")
    place.scroll_into_view_if_needed()
    place.locator(".ways figcaption", has_text="nats").nth(7).wait_for()
    return place


def test_completions_keep_what_is_known_and_differ_in_the_rest(page, address):
    place = fill(page, address)
    board = cells(place.locator(".board"))
    ways = [cells(canvas) for canvas in place.locator(".ways canvas").all()]
    inside = (slice(0, 11), slice(0, 28))  # away from the cursor
    assert all((way[inside] == board[inside]).all() for way in ways)
    assert len({way.tobytes() for way in ways}) > 4
    assert (board[20:] == (74, 118, 178)).all()
    assert not any((way == (74, 118, 178)).all(2).any() for way in ways)


def test_a_brush_erases_by_pointer_and_by_keyboard(page, address):
    place = fill(page, address)
    place.get_by_role("button", name="Put all back").click()
    place.get_by_text("Nothing is missing").wait_for()
    box = place.locator(".board").bounding_box()
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 0.25 * box["height"])
    page.mouse.down()
    page.mouse.up()
    place.get_by_text("25 pixels missing").wait_for()
    place.locator(".board").focus()
    for key in ("Home", "ArrowDown", " "):
        page.keyboard.press(key)
    place.get_by_text("40 pixels missing").wait_for()
    browsers.until(lambda: place.locator(".ways figcaption", has_text="nats").count() == 8)


def test_looking_inside_starts_at_an_uncertain_pixel_and_follows_the_keys(page, address, shipped):
    page.goto(address)
    place = page.locator("#look")
    place.scroll_into_view_if_needed()
    place.get_by_text("earlier pixels").first.wait_for()
    levels = npx.load_data("mnist", levels=2).test
    image, label = levels.levels[5:6], levels.labels[5:6]
    bits = -shipped.log_prob(image, label).item() / np.log(2)
    place.get_by_text(f"{bits:.1f} bits for the whole picture").wait_for()
    heights = [float(bar.get_attribute("height")) for bar in place.locator(".bars rect").all()]
    assert min(heights) > 0.3
    before = place.locator("h3").first.inner_text()
    place.locator(".board").focus()
    page.keyboard.press("ArrowUp")
    browsers.until(lambda: place.locator("h3").first.inner_text() != before)
    row, column = (int(word.strip(",")) - 1 for word in before.split() if word[0].isdigit())
    field = field_of(shipped, Step(row - 1, column, 0)).sum()
    place.get_by_text(f"It sees {field} of {(row - 1) * 28 + column} earlier pixels").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_can_be_read_and_fit_a_phone(page, address, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 360, "height": 700})
    fill(page, address)
    page.locator("#look").scroll_into_view_if_needed()
    page.locator("#look").get_by_text("earlier pixels").first.wait_for()
    page.locator("#ideas").scroll_into_view_if_needed()
    page.locator("#ideas .station").first.wait_for()
    width, screen = page.evaluate(scripts.SPREAD)
    assert width <= screen
    assert [words for ratio, words in page.evaluate(scripts.CONTRAST) if ratio < 4.5] == []


def test_everything_that_can_be_pressed_has_a_name(page, address):
    fill(page, address)
    nodes = page.locator("button, select, input, .board, canvas[role=img], a")
    unnamed = nodes.evaluate_all(
        """nodes => nodes.filter(node => !(node.getAttribute("aria-label")
          || node.textContent.trim() || node.labels?.length)).map(node => node.outerHTML)"""
    )
    assert unnamed == []


def test_an_idea_is_reached_by_its_address_and_from_another(page, address):
    page.goto(f"{address}#ideas?station=gate")
    place = page.locator("#ideas")
    page.wait_for_function("document.activeElement.id === 'idea-gate-title'")
    assert place.locator(".station").count() == 5
    place.get_by_role("navigation").get_by_role("link").nth(1).click()
    page.wait_for_function("document.activeElement.id === 'idea-blind-spot-title'")
    fills = place.locator(".swatch").evaluate_all(
        "nodes => nodes.map(node => getComputedStyle(node).backgroundColor)"
    )
    assert len(set(fills)) > 5  # the page has the style of the ideas
