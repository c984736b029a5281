"""What is wrong with a request is said in plain words, not in those of Python."""

import json
import re

import numpy as np
import pytest

from tests import playgrounds
from tests.playgrounds import LIMITS, image, refused, text

PYTHON = re.compile(
    r"<|class\b|dict|UploadFile|unicode|None|True|validation|parse|integer\b|float|int64|raw data"
)
"""Words of Python, numpy and pydantic."""
BLANK = image(np.zeros((1, 6, 5)), 2)
BODIES = {
    "sample": {"model": "plain"},
    "complete": {"model": "plain", "image": BLANK, "known": text(np.ones((6, 5)))},
    "score": {"model": "plain", "image": BLANK},
    "inspect": {"model": "plain", "image": BLANK, "row": 0, "column": 0},
    "export": {"images": {**BLANK, "shape": [1, 1, 6, 5]}, "format": "png"},
}
ODD = [None, True, "", "x", "x" * 200, "\ud800", 1.5, -1, 10**30, [], {}, [None], [1] * 5]


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folders = playgrounds.make_models(tmp_path_factory.mktemp("models"))
    with playgrounds.playground(folders.values()) as client:
        yield client


def post(client, path, content):
    headers = {"Content-Type": "application/json"}
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return client.post(f"/api/{path}", content=body, headers=headers)


def places(part, before=()):
    """Where in a request something can be put instead."""
    pairs = part.items() if isinstance(part, dict) else enumerate(part)
    for key, value in pairs:
        yield (*before, key)
        if isinstance(value, dict | list):
            yield from places(value, (*before, key))


def changed(part, place, value):
    """A request with something else in a place."""
    first, *rest = place
    copy = part.copy()
    copy[first] = changed(part[first], rest, value) if rest else value
    return copy


@pytest.mark.parametrize("path", BODIES)
def test_whatever_is_wrong_is_said_without_words_of_python(client, path):
    seen = 0
    for place in places(BODIES[path]):
        for value in ODD:
            answer = post(client, path, changed(BODIES[path], place, value))
            if answer.status_code != 200:
                assert answer.status_code in (404, 422)
                assert not PYTHON.search(answer.json()["detail"]), answer.text
                seen += answer.status_code == 422
    assert seen >= 12


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": "1"}, "seed must be a whole number"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"count": LIMITS.count + 1}, f"count must be at most {LIMITS.count}"),
        ({"temperature": "hot"}, "temperature must be a number"),
        ({"temperature": 101}, "temperature must be at most 100"),
        ({"top_p": 0}, "top_p must be more than 0"),
        ({"model": 3}, "model must be text"),
        ({"model": ""}, "model must have 1 or more characters"),
        ({"model": "x" * 101}, "model must have at most 100 characters"),
        ({"warm": 1}, "warm is not known here; leave it out"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_what_it_must_be(client, change, words):
    answer = post(client, "sample", {"model": "plain", **change})
    refused(answer, 422, next(iter(change)))
    assert answer.json()["detail"] == words


@pytest.mark.parametrize(
    ("path", "change", "field", "words"),
    [
        ("score", {"image": 1}, "image", "must be a JSON object"),
        ("score", {"image": {**BLANK, "shape": []}}, "image.shape", "must have 3 or more items"),
        ("score", {"image": {**BLANK, "shape": "x"}}, "image.shape", "must be a list"),
        (
            "score",
            {"image": {**BLANK, "shape": [1] * 9}},
            "image.shape",
            "must have at most 3 items",
        ),
        ("inspect", {"row": 512}, "row", "must be less than 512"),
        ("export", {"format": "tiff"}, "format", "must be 'png', 'npy' or 'gif'"),
    ],
)
def test_a_part_of_a_wrong_kind_is_refused_with_its_place(client, path, change, field, words):
    refused(post(client, path, {**BODIES[path], **change}), 422, field, f"{field} {words}")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the request must be given"),
        (b"{", "the request must be whole JSON"),
        (b"[]", "the request must be a JSON object"),
    ],
    ids=["none", "half", "list"],
)
def test_a_request_that_is_no_object_is_refused_as_a_whole(client, content, words):
    refused(post(client, "sample", content), 422, None, words)


@pytest.mark.parametrize("name", ["file", "files", "archive"])
def test_a_file_that_was_sent_as_text_is_refused(client, name):
    path = {"file": "upload", "files": "compress", "archive": "decompress"}[name]
    answer = client.post(f"/api/{path}", data={"model": "plain", name: "text"})
    field = "files.0" if name == "files" else name
    refused(answer, 422, field, f"{field} must be sent as a file, got text")
