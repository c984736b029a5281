"""Which model an archive was made with: a fingerprint of its options and its weights."""

import hashlib
import json
from dataclasses import fields, is_dataclass
from typing import Any

from nextpixel.checkpoint import stored_state
from nextpixel.codec.header import FINGERPRINT_BYTES
from nextpixel.models import PixelModel


def fingerprint(model: PixelModel) -> bytes:
    """The first 8 bytes of SHA-256 over name, shape, levels, options and weights.

    Weights count as float32, the bits that the step engine computes with. Options count where they
    differ from their defaults, so that one that a later version adds changes no older model.
    """
    described = {
        "name": model.name,
        "shape": list(model.shape),
        "levels": model.levels,
        "options": _chosen(model.config),
    }
    digest = hashlib.sha256(json.dumps(described, sort_keys=True, default=str).encode())
    for name, value in sorted(stored_state(model).items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().float().contiguous().numpy().astype("<f4").tobytes())
    return digest.digest()[:FINGERPRINT_BYTES]


def _chosen(value: Any) -> Any:  # noqa: ANN401 - whatever an option may be
    """What was chosen of a configuration: its options that are not their defaults, as JSON has it.

    Example:
        >>> from nextpixel.nn import ClassCondition
        >>> _chosen((ClassCondition(classes=3, form="gate"),))
        [{'classes': 3, 'form': 'gate'}]
    """
    if isinstance(value, tuple | list):
        return [_chosen(part) for part in value]
    if not is_dataclass(value):
        return value
    options = {field.name: (getattr(value, field.name), field.default) for field in fields(value)}
    return {name: _chosen(own) for name, (own, default) in options.items() if own != default}
