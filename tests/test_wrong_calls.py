"""Wrong calls of the library: each is answered in one sentence that says what to do instead."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

import nextpixel as npx

NO_INTEGERS = "levels must be a tensor of integers 0..16, got"
NO_MODEL = "model must be a model, got str; npx.load(name) reads one, and npx.build(name, ...)"
NO_RNG = "rng must be a torch.Generator or None, got int; torch.Generator().manual_seed(0) makes"
NO_SHAPE = "shape must be (colors, height, width), each at least 1, such as (1, 28, 28), got"
NO_IMAGES = "images must be a part of a data set or a tensor, got"
NO_LABELS = "condition must be a tensor of labels, integers of shape (B,), 0..9, got"
NO_DATA = "data must be a data set with all its parts, got"
NO_MASK = "known must be a boolean tensor, got"

BUILDING: list[tuple[str, type[Exception], str]] = [
    ("npx.build('pixelcn', shape=(1, 8, 8), levels=2)", ValueError, "did you mean 'pixelcnn'?"),
    ("npx.build(3, shape=(1, 8, 8), levels=2)", TypeError, "npx.models.names() lists them"),
    (
        "npx.build('pixelcnn', shape=(1, 8, 8), levels=2, feature=3)",
        ValueError,
        "unknown key 'feature'; did you mean 'features'?",
    ),
    ("npx.build('pixelcnn', shape=(28, 28), levels=2)", ValueError, f"{NO_SHAPE} (28, 28)"),
    ("npx.build('pixelcnn', shape='28x28', levels=2)", ValueError, f"{NO_SHAPE} '28x28'"),
    ("npx.build('pixelcnn', shape=28, levels=2)", ValueError, f"{NO_SHAPE} 28"),
    ("npx.build('pixelcnn', shape=(1, 8, 8.5), levels=2)", ValueError, f"{NO_SHAPE} (1, 8, 8.5)"),
    (
        "npx.build('pixelcnn', shape=(1, 8, 8), levels=1.5)",
        TypeError,
        "levels must be an integer, got 1.5",
    ),
    (
        "npx.build('pixelcnn', shape=(1, 8, 8), levels='2')",
        TypeError,
        "levels must be an integer, got '2'",
    ),
    (
        "npx.build('pixelcnn', shape=(1, 8, 8), levels=1)",
        ValueError,
        "levels must be 2 to 65536, got 1",
    ),
    (
        "npx.build('pixelcnn', shape=(1, 8, 8), levels=2, seed=1.5)",
        TypeError,
        "seed must be an integer, got 1.5",
    ),
    (
        "npx.build('pixelcnn', shape=(1, 8, 8), levels=2, condition=10)",
        ValueError,
        "must have one of classes, size, channels, such as classes=10",
    ),
    (
        "npx.build('pixelcnn', shape=(3, 8, 8), levels=2, features=32)",
        ValueError,
        "got 32; 30 or 33 would do",
    ),
    ("npx.build_recipe('dmo')", ValueError, "there is no recipe 'dmo'; did you mean 'demo'?"),
    ("npx.build_recipe(3)", TypeError, "name must be the name of a recipe or a path, got int"),
    ("npx.load(None)", TypeError, "folder must be a path or the name of a shipped model, got None"),
    (
        "npx.load('nosuch')",
        ValueError,
        "there is no model 'nosuch': neither a folder nor a shipped model; known: color-mnist-fast",
    ),
    ("npx.load('mnist2-gated-clas')", ValueError, "did you mean 'mnist2-gated-class'?"),
    ("npx.load(file)", npx.NextPixelError, "is no model folder: it is a file; give its folder"),
    ("npx.load('')", ValueError, "there is no model ''"),
    ("npx.save(model, None)", TypeError, "folder must be a path, got NoneType"),
    ("npx.save('model', file)", TypeError, NO_MODEL),
]

DATA: list[tuple[str, type[Exception], str]] = [
    ("npx.load_data('mnst')", ValueError, "got 'mnst': did you mean 'mnist'?"),
    ("npx.load_data(3)", TypeError, "name must be the name of a data set or a path, got int"),
    ("npx.load_data('digits', levels=1.5)", TypeError, "levels must be an integer, got 1.5"),
    (
        "npx.from_tensors(x / 16, level_count=17)",
        TypeError,
        "levels must be integers, got float32; of K levels, (levels * (K - 1)).round() as integers",
    ),
    ("npx.from_tensors(x.tolist())", TypeError, "got list; torch.tensor makes one of a list"),
    (
        "npx.from_tensors(x, labels.tolist(), level_count=17)",
        TypeError,
        "labels must be a tensor or an array, got list; torch.tensor makes one",
    ),
    (
        "npx.from_tensors(x[:, 0], level_count=17)",
        ValueError,
        "must have shape (N, C, H, W), none 0, got (4, 8, 8); levels[:, None] has it, of one color",
    ),
    (
        "npx.from_tensors(TensorDataset(x, labels), level_count=17)",
        TypeError,
        "its tensors are some: from_tensors(*dataset.tensors, level_count=...)",
    ),
    ("npx.from_tensors(x)", ValueError, "level_count must be passed, at least 17"),
    ("data.test.take(2.5)", TypeError, "count must be an integer, got 2.5"),
    ("data.test[:2]", TypeError, "index must be an integer, got slice; take(n) gives the first n"),
    ("data.test[20]", IndexError, "index must be below 20, the images there are, got 20"),
]

SCORING: list[tuple[str, type[Exception], str]] = [
    ("model.log_prob(x[:0])", ValueError, "levels must have at least one image, got none"),
    ("model.log_prob(x[0])", ValueError, "levels must have shape (B, 1, 8, 8), got (1, 8, 8)"),
    ("model.log_prob(x[0, 0])", ValueError, "levels must have shape (B, 1, 8, 8), got (8, 8)"),
    (
        "model.log_prob(x / 16)",
        TypeError,
        f"{NO_INTEGERS} torch.float32; (levels * 16).round().long() makes them of numbers from 0",
    ),
    ("model(x.numpy())", TypeError, f"{NO_INTEGERS} ndarray; torch.from_numpy(levels) makes one"),
    ("model.log_prob(x.tolist())", TypeError, f"{NO_INTEGERS} list; torch.tensor(levels) makes"),
    ("model.log_prob(data.test)", TypeError, f"{NO_INTEGERS} Split; its .levels are"),
    ("model.log_prob(x.long() + 20)", ValueError, "levels must be 0..16, got 20.."),
    (
        "model.log_prob(x.to('meta'))",
        ValueError,
        "levels must be on the model's device, cpu, got meta; levels.to('cpu') puts them there",
    ),
    (
        "model.log_prob(x, labels)",
        ValueError,
        "condition must be None: the model was built",
    ),
    ("by_class.log_prob(x)", ValueError, "condition must be given: labels (B,), 0..9"),
    ("by_class.log_prob(x, labels.tolist())", TypeError, f"{NO_LABELS} list; torch.as_tensor"),
    ("by_class.log_prob(x, labels.numpy())", TypeError, f"{NO_LABELS} ndarray; torch.as_tensor"),
    ("by_class.log_prob(x, 3)", TypeError, f"{NO_LABELS} int; torch.as_tensor"),
    (
        "by_class.log_prob(x, labels.float())",
        TypeError,
        "condition must be labels, integers, got torch.float32; labels.long() are some",
    ),
    ("by_class.log_prob(x, labels + 20)", ValueError, "condition must be labels 0..9, got 2"),
    ("by_class.log_prob(x, labels[:2])", ValueError, "must have one entry an image, 4, got 2"),
    ("npx.evaluate('model', x)", TypeError, NO_MODEL),
    ("npx.evaluate(model, 'mnist')", TypeError, f"{NO_IMAGES} str; data.test of a data set"),
    ("npx.evaluate(model, data)", TypeError, f"{NO_IMAGES} Dataset; data.test of a data set"),
    ("npx.evaluate(model, x.numpy())", TypeError, f"{NO_IMAGES} ndarray; data.test of a data set"),
    ("npx.evaluate(model, x[:0])", ValueError, "images must hold at least one image, got none"),
    ("npx.evaluate(model, x, batch_size=0)", ValueError, "batch_size must be at least 1, got 0"),
    ("npx.evaluate(model, x, batch_size=2.5)", TypeError, "batch_size must be an integer, got 2.5"),
    ("npx.surprise_map(model, data)", TypeError, f"{NO_IMAGES} Dataset"),
    ("npx.compare(model, by_class, data)", TypeError, f"{NO_IMAGES} Dataset"),
    ("npx.classify(by_class, data)", TypeError, f"{NO_IMAGES} Dataset"),
    ("npx.health(by_class, data)", TypeError, f"{NO_IMAGES} Dataset"),
    ("npx.audit('model')", TypeError, NO_MODEL),
]

TRAINING: list[tuple[str, type[Exception], str]] = [
    ("npx.fit('model', data)", TypeError, NO_MODEL),
    ("npx.fit(model, x)", TypeError, f"{NO_DATA} Tensor; npx.load_data(name) reads one"),
    ("npx.fit(model, data.train)", TypeError, f"{NO_DATA} Split; npx.load_data(name) reads one"),
    (
        "npx.fit(model, data, {'steps': 3})",
        TypeError,
        "config must be a TrainConfig, got dict; npx.TrainConfig(**settings) makes one",
    ),
    ("npx.fit(model, data, steps=3)", TypeError, "must be a setting: pass npx.TrainConfig(steps"),
    ("npx.fit(model, data, out=3)", TypeError, "out must be a path, got int"),
]

DRAWING: list[tuple[str, type[Exception], str]] = [
    ("npx.sample('model', 1)", TypeError, NO_MODEL),
    ("npx.sample(model, rng=0)", TypeError, NO_RNG),
    ("model(x).sample(3)", TypeError, NO_RNG),
    ("npx.sample(model, count=4.0)", TypeError, "count must be an integer, got 4.0"),
    ("npx.sample(model, count=True)", TypeError, "count must be an integer, got True"),
    ("npx.sample(model, count=0)", ValueError, "count must be at least 1, got 0"),
    ("npx.sample(model, count=-1)", ValueError, "count must be at least 1, got -1"),
    ("npx.sample(by_class, 2)", ValueError, "condition must be given: labels (B,), 0..9"),
    ("npx.sample(by_class, 2, condition=[3, 4])", TypeError, f"{NO_LABELS} list"),
    ("npx.sample(model, temperature=0)", ValueError, "temperature must be above 0 and finite"),
    ("npx.sample(model, temperature=-1)", ValueError, "temperature must be above 0 and finite"),
    ("npx.sample(model, temperature=nan)", ValueError, "above 0 and finite, got nan"),
    ("npx.sample(model, temperature='hot')", TypeError, "temperature must be a number, got str"),
    ("npx.sample(model, top_k=0)", ValueError, "top_k must be at least 1, got 0"),
    ("npx.sample(model, top_k=2.5)", TypeError, "top_k must be an integer, got 2.5"),
    ("npx.sample(model, top_p=2)", ValueError, "top_p must be above 0 and at most 1, got 2"),
    ("npx.sample(model, batch_size=0)", ValueError, "batch_size must be at least 1, got 0"),
    ("npx.sample(model, batch_size=2.5)", TypeError, "batch_size must be an integer, got 2.5"),
    ("npx.sample(model, temprature=1)", TypeError, "did you mean 'temperature'?"),
    ("npx.complete(model, x, known.long())", TypeError, f"{NO_MASK} torch.int64; known != 0 is"),
    ("npx.complete(model, x, known.tolist())", TypeError, f"{NO_MASK} list; torch.tensor(known)"),
    ("npx.complete(model, x, 'top')", TypeError, f"{NO_MASK} str"),
    ("npx.complete(model, x, known[:4])", ValueError, "known must broadcast to shape (4, 1, 8, 8)"),
    ("npx.complete(model, x, known, rng=0)", TypeError, NO_RNG),
    ("npx.complete(model, x[:0], known)", ValueError, "levels must have at least one image"),
    ("npx.complete(model, x.numpy(), known)", TypeError, f"{NO_INTEGERS} ndarray"),
]

COMPRESSING: list[tuple[str, type[Exception], str]] = [
    ("npx.compress('model', x)", TypeError, NO_MODEL),
    ("npx.compress(model, file)", TypeError, "npx.load_data reads files and named sets"),
    ("npx.compress(model, x.numpy())", TypeError, f"{NO_INTEGERS} ndarray; torch.from_numpy"),
    ("npx.compress(model, data)", TypeError, f"{NO_INTEGERS} Dataset; its .test.levels are"),
    ("npx.compress(model, x / 16)", TypeError, f"{NO_INTEGERS} torch.float32; (levels * 16)"),
    ("npx.decompress(model, b'')", npx.NextPixelError, "the archive is empty"),
    (
        "npx.decompress(model, file)",
        TypeError,
        "blob must be the bytes of an archive, got PosixPath; path.read_bytes() are those",
    ),
]

WRONG_CALLS = [*BUILDING, *DATA, *SCORING, *TRAINING, *DRAWING, *COMPRESSING]
"""What is called, the type of the error, and a part of its one line."""


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the calls are about."""
    options: dict[str, Any] = {"features": 8, "layers": 1, "head_features": 8, "seed": 0}
    shape = {"shape": (1, 8, 8), "levels": 17}
    data = npx.load_data("digits", limit=20)
    file = tmp_path_factory.mktemp("wrong") / "file.txt"
    file.write_text("no archive, and no model")
    return {
        "npx": npx,
        "TensorDataset": TensorDataset,
        "nan": float("nan"),
        "file": file,
        "data": data,
        "x": data.test.levels[:4],
        "labels": data.test.labels[:4],  # type: ignore[index]
        "known": torch.arange(8).view(8, 1).expand(8, 8) < 4,
        "model": npx.build("gated-pixelcnn", **shape, **options),
        "by_class": npx.build(
            "gated-pixelcnn", **shape, **options, condition=npx.ClassCondition(10)
        ),
    }


@pytest.mark.parametrize(("call", "kind", "sentence"), WRONG_CALLS, ids=[c[0] for c in WRONG_CALLS])
def test_a_wrong_call_is_answered_in_a_sentence(
    names: dict[str, Any], call: str, kind: type[Exception], sentence: str
) -> None:
    with pytest.raises(kind) as raised:
        eval(call, dict(names))
    text = str(raised.value)
    assert sentence in text
    assert "\n" not in text


def test_a_mask_may_be_numpys(names: dict[str, Any]) -> None:
    model, x, known = (names[name] for name in ("model", "x", "known"))
    for mask in (known, known.numpy()):
        drawn = npx.complete(model, x, mask, rng=torch.Generator().manual_seed(0))
        assert drawn[..., :4, :].equal(x[..., :4, :])
    assert npx.evaluate(model, x, region=known.numpy()) == npx.evaluate(model, x, region=known)
    exact = npx.log_prob_of(model, x, known.numpy())
    assert exact.nats.equal(npx.log_prob_of(model, x, known).nats)


def test_numpys_integers_are_integers(names: dict[str, Any]) -> None:
    assert npx.sample(names["model"], np.int64(2), top_k=np.int64(3)).shape == (2, 1, 8, 8)  # type: ignore[arg-type]
    shape = np.zeros((1, 4, 4)).shape
    assert npx.build("pixelcnn", shape=shape, levels=np.int64(2), layers=1).levels == 2  # type: ignore[arg-type]
