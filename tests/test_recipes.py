"""Recipes are read strictly, and each of them builds its model."""

import subprocess
import sys
from dataclasses import asdict, replace

import pytest
import yaml

import nextpixel as npx
from nextpixel import recipes
from nextpixel.config import read_file
from nextpixel.recipes import Layer

FROM_THE_SEEDS = [
    "demo",
    "mnist2-pixelcnn",
    "mnist2-residual",
    "mnist256-pixelcnn",
    "mnist256-residual",
    "shapes2-pixelcnn",
]
TINY = """
data: {name: digits}
model: {name: pixelcnn, features: 8, layers: 2, side: 3}
train: {steps: 20}
"""


@pytest.fixture
def tiny(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


def test_the_systems_of_the_seeds_are_there():
    assert set(FROM_THE_SEEDS) <= set(recipes.names())


BEYOND = {
    "cifar-plusplus", "cifar-plusplus-small", "color-mnist-plusplus", "mnist256-plusplus",
    "mnist-snail",
    "mnist2-plain", "mnist-transformer", "own-color", "own-gray", "photo", "photo-small",
    "photons-mixture",
}  # fmt: skip
"""Recipes of systems that no seed has."""


@pytest.mark.parametrize("name", recipes.names())
def test_a_recipe_says_where_it_comes_from_and_what_it_changes(name):
    recipe = recipes.read(name)
    assert recipe.name == name
    for note in (recipe.title, recipe.paper, recipe.changes):
        assert note
    assert recipe.seed or name in BEYOND
    assert "https://" in recipe.paper


@pytest.mark.parametrize("name", recipes.names())
def test_the_model_of_a_recipe_can_be_built(name):
    recipe = recipes.read(name)
    levels = recipe.data.levels or 256  # of pictures of one's own: as many as they have
    model = recipes.model_of(recipe, shape=(1, 12, 12), levels=levels)
    assert (model.name, model.levels) == (recipe.model.name, levels)


def test_a_recipe_of_the_package_makes_room_for_the_colors_of_another_set():
    recipe = recipes.read("demo", Layer("", {"data": {"name": "color-shapes", "levels": 4}}))
    with pytest.warns(UserWarning, match="demo: features 33 in place of 32.* so that 3 colors"):
        model = recipes.model_of(recipe, shape=(3, 20, 20), levels=4)
    assert (model.config.features, model.config.head_features) == (33, 33)


def test_features_that_a_user_asks_for_are_not_changed(tiny):
    asked = recipes.read("demo", Layer("command line", {"model": {"features": "32"}}))
    own = recipes.read(tiny)
    for recipe, features in ((asked, 32), (own, 8)):
        with pytest.raises(
            ValueError, match=f"features must be a multiple of 3, .* got {features}"
        ):
            recipes.model_of(recipe, shape=(3, 20, 20), levels=4)


def test_the_first_residual_recipe_is_trained_as_in_its_seed():
    train = recipes.read("mnist256-residual").train
    assert (train.learning_rate, train.schedule, train.decay) == (1e-3, "exponential", 0.999995)
    assert (train.clip_norm, train.batch_size) == (1.0, 128)


def test_a_recipe_is_a_file_of_its_own(tiny):
    model = npx.build_recipe(tiny)
    assert (model.shape, model.levels, model.config.features) == ((1, 8, 8), 17, 8)


def test_what_a_recipe_says_as_a_mapping_is_a_recipe_again(tiny, tmp_path):
    recipe = recipes.read(tiny, Layer("", {"train": {"betas": "0,0.99"}}))
    again = tmp_path / "again.yaml"
    again.write_text(recipe.to_yaml())
    assert replace(recipes.read(again), name="tiny") == recipe


def test_later_layers_win(tiny):
    file = Layer("my.yaml", {"train": {"steps": 30, "seed": 3}, "data": {"limit": 50}})
    words = Layer("command line", {"train": {"steps": "40"}, "model": {"features": "16"}})
    recipe = recipes.read(tiny, file, words)
    assert (recipe.train.steps, recipe.train.seed, recipe.data.limit) == (40, 3, 50)
    model = recipes.model_of(recipe, shape=(1, 8, 8), levels=17)
    assert model.config.features == 16


def test_another_model_does_not_inherit_options(tiny):
    recipe = recipes.read(tiny, Layer("", {"model": {"name": "residual-pixelcnn", "blocks": 1}}))
    assert recipe.model.options == {"blocks": 1}


def test_what_a_recipe_says_of_its_own_set_does_not_hold_for_another(tiny):
    own = {"name": "digits", "levels": 17, "validation": 500, "limit": 900}
    tiny.write_text(yaml.safe_dump(read_file(tiny) | {"data": own}))
    other = Layer("command line", {"data": {"name": "mine.npy"}})
    data = recipes.read(tiny, other).data
    assert (data.name, data.levels, data.validation, data.limit) == ("mine.npy", 17, None, None)
    stated = Layer("my.yaml", {"data": {"validation": 20}})
    assert recipes.read(tiny, stated, other).data.validation == 20
    assert recipes.read(tiny, Layer("", {"data": {"name": "digits"}})).data.validation == 500


SIZES = [
    {"below": 1000, "model": {"features": 4}, "train": {"steps": 5}},
    {"below": 9000, "model": {"layers": 1}},
]


@pytest.mark.parametrize(
    ("sub_pixels", "net", "steps"), [(999, (4, 2), 5), (1000, (8, 1), 20), (9000, (8, 2), 20)]
)
def test_a_recipe_may_have_another_net_for_less_data(tiny, sub_pixels, net, steps):
    tiny.write_text(yaml.safe_dump(read_file(tiny) | {"sizes": SIZES}))
    recipe = recipes.read(tiny)
    size = recipe.size(sub_pixels)
    found = size.recipe if size else recipe
    options = found.model.options
    assert ((options["features"], options["layers"]), found.train.steps) == (net, steps)


def test_what_a_user_says_wins_over_the_net_for_less_data(tiny, tmp_path):
    tiny.write_text(yaml.safe_dump(read_file(tiny) | {"sizes": SIZES}))
    own = Layer("command line", {"model": {"features": "16"}})
    size = recipes.read(tiny, own).size(10)
    assert size.recipe.model.options["features"] == "16"
    assert str(size) == "model.features 16, train.steps 5"
    again = tmp_path / "again.yaml"
    again.write_text(recipes.read(tiny).to_yaml())
    assert recipes.read(again).size(10).recipe.model.options["features"] == 4


@pytest.mark.parametrize("name", ["own-gray", "own-color"])
@pytest.mark.parametrize("colors", [1, 3])
def test_recipes_for_pictures_of_ones_own_have_nets_of_any_size(name, colors):
    recipe = recipes.read(name)
    for one in (recipe, *(size.recipe for size in recipe.sizes)):
        model = recipes.model_of(one, shape=(colors, 12, 12), levels=256)
        other = recipes.model_of(one, shape=(colors, 7, 20), levels=256)
        shapes = [[weight.shape for weight in net.parameters()] for net in (model, other)]
        assert shapes[0] == shapes[1]
    with pytest.raises(ValueError, match=r"a folder or a file of your own, .* as in --data"):
        npx.build_recipe(name)


def test_another_model_keeps_the_condition_and_knows_what_it_leaves_out():
    over = Layer("here", {"model": {"name": "residual-pixelcnn", "side": "3"}})
    recipe = recipes.read("mnist2-gated-class", over)
    assert recipe.model.options == {"condition": [{"classes": 10}], "side": "3"}
    out = ("features", "layers", "first_side", "head_features", "position", "form of the condition")
    assert recipe.left_out == out
    assert recipes.model_of(recipe, shape=(1, 8, 8), levels=2).config.condition[0].classes == 10
    assert recipes.read("mnist2-gated-class").left_out == ()


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("classes=3", (npx.ClassCondition(3),)),
        ("classes=3, form=gate", (npx.ClassCondition(3, form="gate"),)),
        ("[{classes: 3}, {channels: 2}]", (npx.ClassCondition(3), npx.MapCondition(2))),
        ('[{"size": 4}]', (npx.VectorCondition(4),)),
        ("none", ()),
    ],
)
def test_a_condition_can_be_stated_in_words(word, found):
    recipe = recipes.read("mnist2-gated-class", Layer("here", {"model": {"condition": word}}))
    assert recipes.settings_of(recipe)["model.condition"] == tuple(map(asdict, found))
    assert recipes.model_of(recipe, shape=(1, 8, 8), levels=2).config.condition == found


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("clases=3", "condition must have one of classes, size, channels, such as classes=10"),
        ("ten", "or be a list of such, or none, got 'ten'"),
        ("classes=ten", "condition: classes must be an integer, got 'ten'"),
        ("classes=3,frm=gate", "unknown key 'frm'; did you mean 'form'"),
        ("[classes", "or none, got '.classes'"),
    ],
)
def test_a_condition_that_is_none_names_the_form(word, text):
    recipe = recipes.read("mnist2-gated-class", Layer("here", {"model": {"condition": word}}))
    with pytest.raises(ValueError, match=text):
        recipes.check_model(recipe)


WRONG = [
    ({"sizes": [{"below": "x"}]}, r"sizes: below must be a number of sub-pixels, got 'x'"),
    ({"sizes": [{"below": 9, "nets": 1}]}, r"tiny\.yaml: sizes: unknown key 'nets'"),
    ({"titel": "x"}, r"tiny\.yaml: unknown key 'titel'; did you mean 'title'\?"),
    ({"seed": 0}, r"tiny\.yaml: seed must be text, got 0"),
    ({"data": {"nam": "digits"}}, r"tiny\.yaml: data: unknown key 'nam'; did you mean 'name'\?"),
    ({"data": {"name": "digits", "levels": 1}}, r"data: levels must be 2 to 65536, got 1"),
    ({"data": None}, r"tiny\.yaml: data: name must be given"),
    ({"model": None}, r"tiny\.yaml: model: name must be that of a model, got None"),
    ({"train": {"steps": "x"}}, r"tiny\.yaml: train: steps must be an integer, got 'x'"),
    ({"train": [1]}, r"tiny\.yaml: train must be a section of settings, got \[1\]"),
]


@pytest.mark.parametrize(("change", "text"), WRONG, ids=str)
def test_a_wrong_recipe_names_file_and_key(tiny, change, text):
    tiny.write_text(yaml.safe_dump(read_file(tiny) | change))
    with pytest.raises(ValueError, match=text):
        recipes.read(tiny)


def test_a_wrong_layer_is_named_itself(tiny):
    layer = Layer("my.yaml", {"train": {"stepz": 1}})
    with pytest.raises(ValueError, match=r"my\.yaml: train: unknown key 'stepz'"):
        recipes.read(tiny, layer)


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ({"name": "pixelcn"}, "there is no model 'pixelcn'; did you mean 'pixelcnn'"),
        ({"featurs": 3}, "tiny: model: unknown key 'featurs'; did you mean 'features'"),
        ({"features": "many"}, "tiny: model: features must be an integer, got 'many'"),
    ],
)
def test_a_wrong_model_is_refused_before_data_is_read(tiny, model, text):
    with pytest.raises(ValueError, match=text):
        recipes.check_model(recipes.read(tiny, Layer("", {"model": model})))


def test_reading_recipes_costs_no_torch():
    code = "import sys; from nextpixel import recipes; recipes.read('demo'); "
    code += "print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("words", [["recipes"], ["models", "mnist2-gated"]], ids=" ".join)
def test_lists_and_cards_cost_no_torch(words):
    code = f"import sys; from nextpixel.cli.app import main; main({words}); "
    code += "print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
