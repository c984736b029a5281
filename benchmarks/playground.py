"""Fifty clients at once ask the playground for a minute: statuses, errors, memory, delays.

    python benchmarks/playground.py --seconds 60 --clients 50

Clients draw, complete, score, look, compress, upload, ask for nonsense, and leave in the middle. A
503 is a full queue, from which a client comes back after a while; anything else that
was not asked for counts as an error. Memory is the server's own (RSS), after each kind of request
was answered once.
"""

import argparse
import base64
import http.client
import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

MODELS = ("mnist2-gated", "mnist2-gated-class", "digits17-gated")
EXPECTED = (200, 404, 422, 503)
"""Statuses: done, refused as it must be, and a full queue."""
TIMEOUT = 120
"""Seconds after which an answer counts as an error."""


class Server:
    """`nextpixel serve` as a process of its own."""

    def __init__(self) -> None:
        begin = time.perf_counter()
        words = [sys.executable, "-m", "nextpixel", "serve", *MODELS, "--port", "0"]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        self.home = self.process.stdout.readline().split()[3]
        self.address_seconds = time.perf_counter() - begin
        status, _ = ask(self.home, "GET", "/")
        assert status == 200
        self.page_seconds = time.perf_counter() - begin
        while not json.loads(ask(self.home, "GET", "/api/queue")[1])["ready"]:
            time.sleep(0.1)

    def memory(self, field: str = "VmRSS") -> float:
        """MiB, as the system reports; the peak is `VmHWM`."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
        return float("nan")

    def stop(self) -> float:
        """End it as Ctrl-C does; seconds that took."""
        begin = time.perf_counter()
        self.process.send_signal(2)
        self.process.wait()
        return time.perf_counter() - begin


def ask(home: str, method: str, path: str, body: bytes = b"", kind: str = "") -> tuple[int, bytes]:
    """Status and content of one request."""
    connection, answer = begin(home, method, path, body, kind)
    try:
        return answer.status, answer.read()
    finally:
        connection.close()


def begin(
    home: str, method: str, path: str, body: bytes = b"", kind: str = ""
) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    where = urlsplit(home)
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=TIMEOUT)
    connection.request(method, path, body, {"Content-Type": kind} if kind else {})
    return connection, connection.getresponse()


def form(model: str, field: str, content: bytes) -> tuple[bytes, str]:
    """A form with a file, and its type."""
    edge = "-----nextpixel"
    parts = f'--{edge}\r\nContent-Disposition: form-data; name="model"\r\n\r\n{model}\r\n'
    parts += f'--{edge}\r\nContent-Disposition: form-data; name="{field}"; filename="x"\r\n\r\n'
    body = parts.encode() + content + f"\r\n--{edge}--\r\n".encode()
    return body, f"multipart/form-data; boundary={edge}"


class _Client:
    """One who asks all kinds of things, one after the other.

    Args:
        home: Address of the server.
        seed: What is asked, in which order.
        images: A test image and a label of each model, as requests give them.
    """

    def __init__(self, home: str, seed: int, images: dict[str, tuple[dict, int]]) -> None:
        self.home, self.chance, self.images = home, random.Random(seed), images
        self.counts: Counter[str] = Counter()
        self.errors: list[str] = []
        self.acts = [self.sample, self.complete, self.score, self.inspect, self.leave, self.upload,
                     self.compress, self.nonsense, self.glance]  # fmt: skip

    def run(self, until: float) -> None:
        while time.perf_counter() < until:
            self.act(self.chance.choice(self.acts))

    def act(self, action) -> None:  # noqa: ANN001
        try:
            status = action()
        except (OSError, http.client.HTTPException, ValueError, AssertionError) as error:
            self.counts["error"] += 1
            self.errors.append(f"{action.__name__}: {type(error).__name__}: {error}")
            return
        self.counts[str(status)] += 1
        if status not in EXPECTED:
            self.errors.append(f"{action.__name__}: status {status}")
        if status == 503:
            time.sleep(self.chance.uniform(0.5, 2))

    def post(self, path: str, content: dict) -> tuple[int, bytes]:
        return ask(self.home, "POST", path, json.dumps(content).encode(), "application/json")

    def pick(self) -> tuple[str, dict, dict]:
        """A model, an image of it, and a label if it takes one."""
        model = self.chance.choice(MODELS)
        image, label = self.images[model]
        return model, image, {} if model == "mnist2-gated" else {"label": label}

    def drawn(self, path: str, content: dict) -> int:
        status, body = self.post(path, content)
        if status == 200:
            last = json.loads(body.splitlines()[-1])
            assert last["event"] == "done", last
        return status

    def sample(self) -> int:
        model, _, label = self.pick()
        asked = {"model": model, "count": self.chance.randint(1, 16), **label}
        return self.drawn("/api/sample", {**asked, "seed": self.chance.randrange(2**32)})

    def complete(self) -> int:
        model, image, label = self.pick()
        _, height, width = image["shape"]
        known = base64.b64encode(bytes([1] * (height // 2 * width)).ljust(height * width, b"\0"))
        asked = {"model": model, "image": image, "known": known.decode(), "count": 4, **label}
        return self.drawn("/api/complete", asked)

    def score(self) -> int:
        model, image, label = self.pick()
        return self.post("/api/score", {"model": model, "image": image, **label})[0]

    def inspect(self) -> int:
        model, image, label = self.pick()
        return self.post("/api/inspect", {"model": model, "image": image, **label})[0]

    def leave(self) -> int:
        """Go away in the middle of a stream."""
        model, _, label = self.pick()
        asked = json.dumps({"model": model, "count": 32, **label}).encode()
        connection, answer = begin(self.home, "POST", "/api/sample", asked, "application/json")
        if answer.status == 200:
            answer.readline()
        connection.close()
        return answer.status

    def upload(self) -> int:
        pixels = np.random.default_rng(self.chance.randrange(99)).integers(0, 256, (300, 400, 3))
        out = BytesIO()
        Image.fromarray(pixels.astype(np.uint8)).save(out, "jpeg")
        return self.send("/api/upload", "file", out.getvalue())

    def compress(self) -> int:
        out = BytesIO()
        np.save(out, np.random.default_rng(0).integers(0, 2, (10, 28, 28), np.uint8))
        status, body = ask(
            self.home, "POST", "/api/compress", *form(MODELS[0], "files", out.getvalue())
        )
        if status != 200:
            return status
        archive = base64.b64decode(json.loads(body)["archive"])
        return self.send("/api/decompress", "archive", archive)

    def send(self, path: str, field: str, content: bytes) -> int:
        return ask(self.home, "POST", path, *form(MODELS[0], field, content))[0]

    def nonsense(self) -> int:
        """Wrong requests, each of which must be refused."""
        wrong = self.chance.choice(
            [{"model": "none"}, {"model": MODELS[0], "count": 10**6}, {"model": 3}, {}]
        )
        status, body = self.post("/api/sample", wrong)
        assert status in (404, 422), (status, body)
        return status

    def glance(self) -> int:
        return ask(self.home, "GET", "/api/models")[0]


def first_images(home: str) -> dict[str, tuple[dict, int]]:
    found = {}
    for model in MODELS:
        answer = json.loads(ask(home, "GET", f"/api/models/{model}/images?count=1")[1])
        shape = answer["images"]["shape"][1:]
        found[model] = ({**answer["images"], "shape": shape}, answer["labels"][0])
    return found


def page_bytes() -> int:
    folder = Path(__file__).parents[1] / "src" / "nextpixel" / "playground" / "static"
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())


def watch(server: Server, until: float) -> tuple[list[float], list[float]]:
    """Milliseconds that the page takes, and MiB of the server, twice a second."""
    waits, memory = [], []
    while time.perf_counter() < until:
        start = time.perf_counter()
        status, _ = ask(server.home, "GET", "/")
        assert status == 200
        waits.append(1000 * (time.perf_counter() - start))
        memory.append(server.memory())
        time.sleep(0.5)
    return waits, memory


def measure(seconds: float, clients: int) -> dict[str, object]:
    server = Server()
    images = first_images(server.home)
    warm = _Client(server.home, 0, images)
    for action in warm.acts:
        warm.act(action)
    before = server.memory()
    until = time.perf_counter() + seconds
    crowd = [_Client(server.home, number, images) for number in range(1, clients + 1)]
    threads = [threading.Thread(target=client.run, args=[until]) for client in crowd]
    for thread in threads:
        thread.start()
    waits, memory = watch(server, until)
    for thread in threads:
        thread.join()
    after, peak = server.memory(), server.memory("VmHWM")
    stop = server.stop()
    counts = sum((client.counts for client in crowd), Counter())
    errors = [text for client in crowd for text in client.errors]
    return {
        "seconds": seconds,
        "clients": clients,
        "requests": dict(sorted(counts.items())),
        "errors": len(errors),
        "first_errors": errors[:5],
        "memory_mib": {
            "start": round(before, 1),
            "half": round(memory[len(memory) // 2], 1),
            "end": round(after, 1),
            "peak": round(peak, 1),
        },
        "page_ms": {
            "median": round(statistics.median(waits), 1),
            "p95": round(sorted(waits)[int(0.95 * len(waits))], 1),
            "most": round(max(waits), 1),
        },
        "address_seconds": round(server.address_seconds, 2),
        "page_seconds": round(server.page_seconds, 2),
        "stop_seconds": round(stop, 2),
        "page_bytes": page_bytes(),
        "load": os.getloadavg()[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=50)
    options = parser.parse_args()
    found = measure(options.seconds, options.clients)
    for name, value in found.items():
        print(f"{name:16}  {value}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
