"""A playground of tiny models, asked in place, and helpers to read its answers."""

import base64
import json
import threading
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch

import nextpixel as npx
from nextpixel.audit import redraw

pytest.importorskip("fastapi", reason="the playground comes with the extra [web]")
from fastapi.testclient import TestClient

from nextpixel.playground.catalog import Catalog
from nextpixel.playground.listening import address, bind
from nextpixel.playground.schemas import LIMITS
from nextpixel.playground.server import create_app

HOME = "http://127.0.0.1:8000"
SMALL = {"features": 6, "layers": 1, "first_side": 3, "side": 3, "head_features": 6}
DIGITS = {"name": "digits", "levels": 17, "protocol": "levels"}
LABELLED = npx.ClassCondition(3)
KINDS = {
    "plain": {"shape": (1, 6, 5), "levels": 2},
    "deep": {"shape": (1, 6, 5), "levels": 256},
    "color": {"shape": (3, 4, 4), "levels": 4},
    "labelled": {"shape": (1, 6, 5), "levels": 2, "condition": LABELLED},
    "forgetful": {
        "shape": (1, 8, 8),
        "levels": 17,
        "condition": npx.ClassCondition(10, dropout=0.2),
    },
    "mapped": {"shape": (1, 6, 5), "levels": 2, "condition": npx.MapCondition(1)},
}
"""Gated models, by the names that the playground gives them; `forgetful` has the digits as data."""


def make_models(folder):
    """Untrained models with weights drawn anew; their folders, by name."""
    rng = torch.Generator().manual_seed(0)
    for name, options in KINDS.items():
        model = npx.build("gated-pixelcnn", seed=0, **options, **SMALL)
        redraw(model, rng)
        npx.save(model, folder / name, data=DIGITS if name == "forgetful" else {})
    autoencoder = npx.build(
        "autoencoder", seed=0, shape=(1, 8, 8), levels=17, code=3, encoder_features=4, **SMALL
    )
    redraw(autoencoder, rng)
    npx.save(autoencoder, folder / "autoencoder", data=DIGITS)
    return {name: str(folder / name) for name in (*KINDS, "autoencoder")}


@contextmanager
def playground(folders, host="127.0.0.1", **changes):
    """A client of a playground of these models, with other limits where they are given."""
    app = create_app(Catalog(list(folders)), host=host, limits=replace(LIMITS, **changes))
    with TestClient(app, base_url=HOME, raise_server_exceptions=False) as client:
        yield client


@contextmanager
def served(folders, **changes):
    """A playground on a socket of its own; its address and its state."""
    import uvicorn

    app = create_app(Catalog(list(folders)), limits=replace(LIMITS, **changes))
    listening = bind("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield address("127.0.0.1", listening), app.state.shared
    finally:
        app.state.shared.queue.close()
        server.should_exit = True
        thread.join()


def image(levels, count):
    """Levels as a request gives them."""
    array = np.asarray(levels, np.uint8)
    return {"shape": list(array.shape), "levels": count, "data": text(array)}


def text(array):
    return base64.b64encode(np.ascontiguousarray(array, np.uint8).tobytes()).decode()


def array(packed):
    """Levels of an answer."""
    return raw(packed["data"], packed["shape"])


def raw(data, shape, dtype=np.uint8):
    return np.frombuffer(base64.b64decode(data), dtype).reshape(shape)


def events(response):
    """The lines of a stream."""
    assert response.status_code == 200, response.text
    return [json.loads(line) for line in response.text.splitlines()]


def refused(response, status, field, *words):
    """That an answer refuses in our form, names the field, and shows no file."""
    assert response.status_code == status, response.text
    problem = response.json()
    assert set(problem) == {"detail", "field"}
    assert problem["field"] == field
    for word in words:
        assert word in problem["detail"], problem["detail"]
    assert "Traceback" not in response.text
    assert "/" not in problem["detail"].replace("image/", "")
