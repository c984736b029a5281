"""What holds for every request: known hosts, bounded sizes, safe headers, own files only."""

import gzip
import json

import pytest

from tests import playgrounds
from tests.playgrounds import HOME, refused

HEADERS = {
    "content-security-policy": "default-src 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return playgrounds.make_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def client(folders):
    with playgrounds.playground(folders.values(), json_bytes=5000, upload_bytes=9000) as client:
        yield client


# What there is


def test_models_are_listed_with_their_shape_and_their_condition(client):
    found = client.get("/api/models").json()
    by_name = {model["name"]: model for model in found["models"]}
    assert list(by_name) == [*playgrounds.KINDS, "autoencoder"]
    assert by_name["color"]["shape"] == [3, 4, 4]
    conditions = {name: model["condition"] for name, model in by_name.items()}
    assert conditions == {
        "plain": "none",
        "deep": "none",
        "color": "none",
        "labelled": "class",
        "forgetful": "class",
        "mapped": "other",
        "autoencoder": "other",
    }
    assert (by_name["labelled"]["classes"], by_name["labelled"]["takes_unknown"]) == (3, False)
    assert (by_name["forgetful"]["classes"], by_name["forgetful"]["takes_unknown"]) == (10, True)
    assert [name for name, model in by_name.items() if not model["usable"]] == ["mapped"]
    assert found["limits"]["count"] == playgrounds.LIMITS.count


def test_test_images_are_those_of_the_models_data(client):
    import nextpixel as npx

    found = client.get("/api/models/forgetful/images", params={"start": 3, "count": 4}).json()
    test = npx.load_data("digits").test
    assert playgrounds.array(found["images"]).tolist() == test.levels[3:7].tolist()
    assert found["labels"] == test.labels[3:7].tolist()
    assert found["total"] == len(test)


@pytest.mark.parametrize(
    ("address", "status", "field"),
    [
        ("/api/models/none/images", 404, "model"),
        ("/api/models/plain/images", 404, "name"),
        ("/api/models/forgetful/images?start=179", 422, "start"),
        ("/api/models/forgetful/images?start=-1", 422, "start"),
        ("/api/models/forgetful/images?count=101", 422, "count"),
        ("/api/models/forgetful/images?count=x", 422, "count"),
        ("/api/none", 404, None),
        ("/docs", 404, None),
        ("/redoc", 404, None),
    ],
)
def test_what_there_is_not_is_refused(client, address, status, field):
    refused(client.get(address), status, field)


def test_the_state_of_the_queue_is_shown(client):
    assert client.get("/api/queue").json() == {
        "running": 0,
        "waiting": 0,
        "limit": 16,
        "ready": True,
    }


def test_the_description_of_the_addresses_names_them_all(client):
    paths = client.get("/openapi.json").json()["paths"]
    names = ["complete", "compress", "decompress", "export", "inspect", "sample", "score", "upload"]
    assert all(f"/api/{name}" in paths for name in names)
    asked = client.get("/openapi.json").json()["components"]["schemas"]
    assert asked["SampleIn"]["properties"]["model"]["enum"] == [*playgrounds.KINDS, "autoencoder"]
    assert {"/api/models", "/api/models/{name}/images", "/api/queue"} < set(paths)


# Files of the page


def test_the_page_is_served_from_the_package(client):
    page = client.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert client.get("/static/index.html").content == page.content


@pytest.mark.parametrize(
    "address",
    [
        "/static/none.js",
        "/static/..%2f__init__.py",
        "/static/%2e%2e/app.py",
        "/static/....//app.py",
        "/static//etc/passwd",
        "/static/C:%5Cwindows%5Cwin.ini",
        "/static/%00",
        "/static/",
    ],
)
def test_no_path_of_a_request_reaches_the_files(client, address):
    response = client.get(address)
    assert response.status_code == 404
    assert set(response.json()) == {"detail", "field"}


@pytest.mark.parametrize(
    "address", ["/", "/static/main.js", "/api/models", "/openapi.json", "/none"]
)
def test_the_head_of_an_answer_is_that_of_the_whole_without_its_content(client, address):
    whole, head = client.get(address), client.head(address)
    assert head.status_code == whole.status_code
    assert head.headers == whole.headers
    assert whole.content
    assert head.content == b""


def test_the_head_of_what_must_be_posted_is_refused(client):
    assert client.head("/api/sample").status_code == 405


def raw(client, address, **headers):
    """An answer, and its content as it was sent."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    with client.stream("GET", address, headers=named) as answer:
        return answer, b"".join(answer.iter_raw())


def test_files_of_the_page_are_sent_packed_to_those_who_can_unpack_them(client):
    whole, content = raw(client, "/static/main.js", accept_encoding="identity")
    packed, fewer = raw(client, "/static/main.js", accept_encoding="br;q=1, gzip;q=0.5")
    assert gzip.decompress(fewer) == content
    assert len(fewer) < len(content) / 2
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in whole.headers
    assert packed.headers["etag"] != whole.headers["etag"]
    for answer, sent in ((whole, content), (packed, fewer)):
        assert answer.headers["content-length"] == str(len(sent))
        assert answer.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize("coding", ["gzip", "identity"])
@pytest.mark.parametrize("address", ["/", "/static/style.css"])
def test_a_file_of_the_page_is_not_sent_again_while_it_is_the_same(client, address, coding):
    tag = raw(client, address, accept_encoding=coding)[0].headers["etag"]
    for known in (tag, f'"other", W/{tag}', "*"):
        again, content = raw(client, address, accept_encoding=coding, if_none_match=known)
        assert (again.status_code, content) == (304, b"")
        assert again.headers["etag"] == tag
        assert again.headers["content-security-policy"]
    other, content = raw(client, address, accept_encoding=coding, if_none_match='"other"')
    assert other.status_code == 200
    assert content


# Headers and hosts


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("GET", "/"),
        ("GET", "/api/models"),
        ("GET", "/none"),
        ("PUT", "/api/models"),
        ("POST", "/api/sample"),
        ("GET", "/openapi.json"),
    ],
)
def test_every_answer_has_the_headers(client, method, address):
    answer = client.request(method, address)
    for name, value in HEADERS.items():
        assert answer.headers[name].startswith(value)
    policy = answer.headers["content-security-policy"]
    for part in ("object-src 'none'", "base-uri 'none'", "form-action 'self'"):
        assert part in policy
    for part in ("img-src 'self' data: blob:", "frame-ancestors 'none'"):
        assert part in policy
    assert "unsafe" not in policy
    assert "access-control-allow-origin" not in answer.headers


def test_a_failure_of_our_own_has_the_headers_and_says_nothing_of_files(client, monkeypatch):
    state = client.app.state.shared
    monkeypatch.setattr(state, "catalog", None)
    answer = client.get("/api/models")
    refused(answer, 500, None, "the server failed at this")
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("localhost:1", 200),
        ("LOCALHOST", 200),
        ("[::1]:8000", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost@evil.example", 421),
        ("192.168.0.7", 421),
        ("[::1", 421),
        ("", 421),
    ],
)
def test_only_our_own_hosts_are_answered(client, host, status):
    answer = client.get("/api/queue", headers={"Host": host})
    assert answer.status_code == status
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (HOME, 200),
        (HOME.upper(), 200),
        ("http://127.0.0.1:8001", 403),
        ("http://127.0.0.1", 403),
        ("https://127.0.0.1:8000", 403),
        ("http://localhost:8000", 403),
        ("http://127.0.0.1:x", 403),
        ("http://[::1", 403),
        ("http://evil.example", 403),
        ("null", 403),
        ("127.0.0.1", 403),
    ],
)
def test_a_page_of_another_site_cannot_post(client, origin, status):
    asked = {"model": "plain", "count": 1}
    answer = client.post("/api/sample", json=asked, headers={"Origin": origin})
    assert answer.status_code == status
    assert client.get("/api/queue", headers={"Origin": origin}).status_code == 200


def test_a_host_without_a_port_has_that_of_its_scheme(client):
    for origin, status in (("http://localhost", 200), ("http://localhost:8000", 403)):
        headers = {"Host": "localhost", "Origin": origin}
        asked = {"model": "plain", "count": 1}
        assert client.post("/api/sample", json=asked, headers=headers).status_code == status


def test_a_server_for_everyone_answers_to_numbers_but_not_to_names():
    from nextpixel.playground.refusals import Guard
    from nextpixel.playground.schemas import LIMITS

    guard = Guard(None, "0.0.0.0", LIMITS)
    assert guard.is_own("192.168.0.7:8000")
    assert not guard.is_own("evil.example")
    assert Guard(None, "box.lan", LIMITS).is_own("box.lan:8000")


# Sizes


def test_a_request_that_is_too_large_is_refused_by_its_length(client):
    body = json.dumps({"model": "x" * 6000}).encode()
    refused(client.post("/api/sample", content=body), 413, None, "at most")
    upload = {"data": {"model": "plain"}, "files": {"file": bytes(10_000)}}
    refused(client.post("/api/upload", **upload), 413, None, "at most")


def test_files_may_be_larger_than_requests_in_json(client):
    upload = {"data": {"model": "plain"}, "files": {"file": bytes(6000)}}
    refused(client.post("/api/upload", **upload), 422, "file", "must be a PNG")


@pytest.mark.parametrize("address", ["/api/sample", "/api/compress"])
def test_a_request_without_a_length_is_refused_once_it_is_too_large(client, address):
    def parts():
        for _ in range(100):
            yield b" " * 1000

    kind = "application/json" if address.endswith("sample") else "multipart/form-data; boundary=x"
    answer = client.post(address, content=parts(), headers={"Content-Type": kind})
    refused(answer, 413, None, "at most")


def test_requests_with_odd_lengths_are_refused_or_read(client):
    for length in ("-1", "9" * 30, "x"):
        answer = client.post("/api/sample", content=b"{}", headers={"Content-Length": length})
        assert answer.status_code in (400, 413, 422)


# Models of the command line


def test_models_of_one_name_are_numbered(folders, tmp_path):
    from nextpixel.playground.catalog import Catalog

    other = playgrounds.make_models(tmp_path)["plain"]
    assert list(Catalog([folders["plain"], other]).cards) == ["plain", "plain-2"]


def test_models_of_more_levels_than_a_page_shows_are_refused(tmp_path):
    import nextpixel as npx
    from nextpixel.playground.catalog import Catalog

    model = npx.build("pixelcnn", shape=(1, 4, 4), levels=1000, features=2, layers=1)
    npx.save(model, tmp_path / "deep")
    with pytest.raises(npx.NextPixelError, match="the playground shows images of up to 256 levels"):
        Catalog([str(tmp_path / "deep")])


def test_a_shipped_model_differs_from_a_folder_of_that_name(folders, tmp_path):
    import nextpixel as npx
    from nextpixel.playground.catalog import Catalog

    npx.save(npx.load(folders["plain"]), tmp_path / "mnist2-gated")
    cards = Catalog(["mnist2-gated", str(tmp_path / "mnist2-gated")]).cards
    assert {name: card.shipped for name, card in cards.items()} == {
        "mnist2-gated": True,
        "mnist2-gated-2": False,
    }


def test_a_model_is_called_as_it_was_typed_and_only_this_machine_sees_its_folder(
    folders, tmp_path, monkeypatch
):
    import nextpixel as npx
    from nextpixel.playground.catalog import Catalog

    npx.save(npx.load(folders["plain"]), tmp_path / "a model's")
    monkeypatch.chdir(tmp_path)
    models = ["./a model's", "mnist2-gated"]
    for host, typed in (("127.0.0.1", "'./a model'\"'\"'s'"), ("0.0.0.0", None)):
        with playgrounds.playground(models, host=host) as client:
            listed = client.get("/api/models").json()["models"]
        assert [one["argument"] for one in listed] == [typed, "mnist2-gated"]
    assert [card.name for card in Catalog(models).cards.values()] == ["a model's", "mnist2-gated"]


def test_the_data_of_a_model_is_named_without_its_folder(folders, tmp_path):
    import nextpixel as npx
    from nextpixel.playground.catalog import Catalog

    npx.save(npx.load(folders["plain"]), tmp_path / "m", data={"name": "/some/secret/faces"})
    assert Catalog([str(tmp_path / "m")]).cards["m"].data == "faces"
