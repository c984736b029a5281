"""The playground under load: a class that points at pixels, and fifty clients at everything.

    python benchmarks/playground_load.py
    python benchmarks/playground_load.py --clients 0      the class only; --class-size 0: the others

Each visitor of the class compares two models at one of ten images, a new one every ten seconds, and
points twice a second at a pixel. `page`: as the page does, which asks once an image for all its
pixels, and once a model for its receptive fields; `pixels`: as a program may, which asks at each
pointing. A pointing is answered if the answer is there before the next. Who gets a 503 comes back
when its header says.

Clients are those of `playground.py`, who also ask for the page's files. Memory is the server's own
(RSS); statuses other than 200, 304, 404, 422, 429 and 503 are errors.
"""

import argparse
import base64
import json
import random
import statistics
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

import playground as base

EXPECTED = (200, 304, 404, 422, 429, 503)
PAIR = ("mnist2-gated", "mnist2-gated-class")
EVERY = 0.5
"""Seconds from one pointing to the next."""
IMAGES, IMAGE_SECONDS = 10, 10
Images = dict[str, list[tuple[dict, int]]]
FILES = ("/", "/static/main.js", "/static/style.css", "/static/api.js")


class Visitor:
    """One of a class, with a connection of its own.

    Args:
        home: Address of the server.
        seed: What it looks at.
        images: Of each model the same test images and their labels.
        whole: Whether it asks for all pixels of an image at once.
    """

    def __init__(self, home: str, seed: int, images: Images, *, whole: bool) -> None:
        self.chance, self.images, self.whole = random.Random(seed), images, whole
        where = urlsplit(home)
        self.connection = HTTPConnection(where.hostname, where.port, timeout=60)
        self.asked = self.answered = 0
        self.fields: set[str] = set()
        self.waits: list[float] = []
        self.statuses: Counter[str] = Counter()

    def run(self, until: float) -> None:
        """Point until a time, twice a second whether or not there was an answer."""
        time.sleep(self.chance.uniform(0, EVERY))
        start = time.perf_counter()
        while (now := time.perf_counter()) < until:
            number = int((now - start) / IMAGE_SECONDS)
            whole = self.point(start + (number + 1) * IMAGE_SECONDS)
            taken = time.perf_counter() - now
            pointings = 1 + int(taken / EVERY)
            self.asked += pointings
            self.answered += whole  # the last of them
            if self.whole and whole:
                self.look(start + (number + 1) * IMAGE_SECONDS)
            else:
                time.sleep(max(0.0, now + pointings * EVERY - time.perf_counter()))
        self.connection.close()

    def look(self, end: float) -> None:
        """Go on pointing at an image of which all is known."""
        rest = max(0, int((end - time.perf_counter()) / EVERY))
        self.asked += rest
        self.answered += rest
        time.sleep(max(0.0, end - time.perf_counter()))

    def point(self, end: float) -> bool:
        """Ask both models; whether both answered."""
        begin, number = time.perf_counter(), self.chance.randrange(IMAGES)
        place = {"row": self.chance.randrange(28), "column": self.chance.randrange(28)}
        end = end if self.whole else begin + EVERY
        found = [self.ask(model, number, {} if self.whole else place, end) for model in PAIR]
        found += [self.ask_fields(model, end) for model in PAIR if self.whole]
        self.waits.append(1000 * (time.perf_counter() - begin))
        return all(found) and time.perf_counter() < end

    def ask(self, model: str, number: int, place: dict[str, int], end: float) -> bool:
        """Ask one model about an image, or a place in it."""
        image, label = self.images[model][number]
        content = {"model": model, "image": image, **place}
        content |= {"label": label} if model != PAIR[0] else {}
        return self.until("POST", "/api/inspect", content, end)

    def ask_fields(self, model: str, end: float) -> bool:
        """Ask for the receptive fields of all pixels, once a model."""
        if model not in self.fields and self.until("GET", f"/api/models/{model}/fields", None, end):
            self.fields.add(model)
        return model in self.fields

    def until(self, method: str, path: str, content: dict[str, Any] | None, end: float) -> bool:
        """Ask until there is an answer, or the time is over."""
        while True:
            status, again = self.request(method, path, content)
            self.statuses[str(status)] += 1
            if status != 503 or time.perf_counter() + again > end:
                return status == 200
            time.sleep(again * self.chance.uniform(1, 2))

    def request(self, method: str, path: str, content: dict[str, Any] | None) -> tuple[int, float]:
        """Status, and seconds after which to come again."""
        body = None if content is None else json.dumps(content)
        try:
            self.connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = self.connection.getresponse()
            answer.read()
        except (OSError, HTTPException):
            self.connection.close()
            return 0, 60
        return answer.status, float(answer.headers.get("Retry-After", 60))


def first_images(home: str) -> Images:
    """Test images of the pair and their labels, as requests give them."""
    found = {}
    for model in PAIR:
        path = f"/api/models/{model}/images?count={IMAGES}"
        answer = json.loads(base.ask(home, "GET", path)[1])
        _, *shape = answer["images"]["shape"]
        levels = base64.b64decode(answer["images"]["data"])
        size = len(levels) // IMAGES
        parts = [levels[size * at : size * (at + 1)] for at in range(IMAGES)]
        images = [
            {**answer["images"], "shape": shape, "data": base64.b64encode(part).decode()}
            for part in parts
        ]
        found[model] = list(zip(images, answer["labels"], strict=True))
    return found


class Client(base._Client):
    """One who asks all kinds of things, also for the files of the page, new or known."""

    def __init__(self, home: str, seed: int, images: dict[str, tuple[dict, int]]) -> None:
        super().__init__(home, seed, images)
        self.tags: dict[str, str] = {}
        self.acts += [self.file, self.file]

    def file(self) -> int:
        """A file of the page, if it is another than the one known."""
        path, where = self.chance.choice(FILES), urlsplit(self.home)
        connection = HTTPConnection(where.hostname, where.port, timeout=60)
        headers = {"Accept-Encoding": "gzip", "If-None-Match": self.tags.get(path, "")}
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        assert bool(content) == (answer.status == 200)
        self.tags[path] = answer.headers["ETag"]
        return answer.status


def crowd(home: str, size: int, seconds: float, *, whole: bool) -> dict[str, Any]:
    """A class that points."""
    images = first_images(home)
    visitors = [Visitor(home, seed, images, whole=whole) for seed in range(size)]
    until = time.perf_counter() + seconds
    with ThreadPoolExecutor(size) as pool:
        list(pool.map(lambda visitor: visitor.run(until), visitors))
    waits = sorted(wait for visitor in visitors for wait in visitor.waits)
    asked = sum(visitor.asked for visitor in visitors)
    answered = sum(visitor.answered for visitor in visitors)
    return {
        "visitors": size,
        "asked": asked,
        "answered": answered,
        "share": round(answered / asked, 3),
        "median_ms": round(statistics.median(waits), 1),
        "p95_ms": round(waits[int(0.95 * len(waits))], 1),
        "statuses": dict(sum((visitor.statuses for visitor in visitors), Counter())),
    }


def mixture(server: base.Server, count: int, seconds: float) -> dict[str, Any]:
    """Clients that ask for everything."""
    base.EXPECTED = EXPECTED
    images = base.first_images(server.home)
    warm = Client(server.home, 0, images)
    for action in warm.acts:
        warm.act(action)
    start, until = server.memory(), time.perf_counter() + seconds
    clients = [Client(server.home, seed, images) for seed in range(1, count + 1)]
    threads = [threading.Thread(target=client.run, args=[until]) for client in clients]
    for thread in threads:
        thread.start()
    waits, memory = base.watch(server, until)
    for thread in threads:
        thread.join()
    errors = [text for client in [warm, *clients] for text in client.errors]
    return {
        "clients": count,
        "statuses": dict(sorted(sum((client.counts for client in clients), Counter()).items())),
        "errors": len(errors),
        "first_errors": errors[:5],
        "mib_start": round(start, 1),
        "mib_middle": round(memory[len(memory) // 2], 1),
        "mib_end": round(server.memory(), 1),
        "page_median_ms": round(statistics.median(waits), 1),
    }


def main() -> None:
    """Measure both, print a table, and end in a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--class-size", type=int, default=30)
    parser.add_argument("--point-seconds", type=float, default=30)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=180)
    options = parser.parse_args()
    server = base.Server()
    found = {}
    try:
        if options.class_size:
            for name, whole in (("page", True), ("pixels", False)):
                found[name] = crowd(
                    server.home, options.class_size, options.point_seconds, whole=whole
                )
        if options.clients:
            found["mixture"] = mixture(server, options.clients, options.seconds)
    finally:
        server.stop()
    for part, values in found.items():
        for name, value in values.items():
            print(f"{part:8}  {name:15}  {value}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
