"""Which model an archive was made with: a fingerprint of its options and its weights."""

import hashlib
import json
from dataclasses import asdict

from nextpixel.codec.header import FINGERPRINT_BYTES
from nextpixel.models import PixelModel


def fingerprint(model: PixelModel) -> bytes:
    """The first 8 bytes of SHA-256 over name, shape, levels, options and weights.

    Weights count as float32, the bits that the step engine computes with.
    """
    told = {
        "name": model.name,
        "shape": list(model.shape),
        "levels": model.levels,
        "options": asdict(model.config),
    }
    digest = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode())
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().float().contiguous().numpy().astype("<f4").tobytes())
    return digest.digest()[:FINGERPRINT_BYTES]
