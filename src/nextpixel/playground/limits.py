"""How much a request may ask for: one place, which the page reads too."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds of requests.

    Attributes:
        count: Images to draw at a time.
        temperature_least: Lowest temperature.
        temperature_most: Highest temperature.
        seed: Highest seed; the lowest is 0.
        side: Pixels along a side of an image.
        waiting: Jobs that may wait for the engine.
        streams: Answers that may be on their way at a time.
        json_bytes: Of a request in JSON.
        upload_bytes: Of a request with files.
        upload_pixels: Of an uploaded picture, before it is decoded.
        compress_images: Images to compress at a time.
        values: Sub-pixels of all images of a request.
        images: Test images to fetch at a time.
        send_seconds: How long a client may take to receive a part of an answer.
        read_seconds: How long a client may take to send a part of a request.
    """

    count: int = 64
    temperature_least: float = 0.01
    temperature_most: float = 100.0
    seed: int = 2**63 - 1
    side: int = 512
    waiting: int = 16
    streams: int = 64
    json_bytes: int = 4 * 2**20
    upload_bytes: int = 8 * 2**20
    upload_pixels: int = 20_000_000
    compress_images: int = 1000
    values: int = 2**20
    images: int = 100
    send_seconds: float = 30.0
    read_seconds: float = 30.0

    def as_dict(self) -> dict[str, float]:
        """The bounds as plain values, for JSON."""
        return asdict(self)


LIMITS = Limits()
"""Those of the server; tests make others."""
