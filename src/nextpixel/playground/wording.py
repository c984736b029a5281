"""What pydantic finds wrong with a request, in plain words of our own."""

from collections.abc import Mapping
from typing import Any

WHOLE, NUMBER, TEXT, OBJECT = "a whole number", "a number", "text", "a JSON object"
KINDS = {
    "bool_type": "true or false",
    "dict_type": OBJECT,
    "finite_number": "a finite number",
    "float_parsing": NUMBER,
    "float_type": NUMBER,
    "int_from_float": WHOLE,
    "int_parsing": WHOLE,
    "int_parsing_size": WHOLE,
    "int_type": WHOLE,
    "list_type": "a list",
    "model_attributes_type": OBJECT,
    "model_type": OBJECT,
    "string_type": TEXT,
    "string_unicode": TEXT,
    "literal_error": "{expected}",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
}
"""What a part of a request must be, by the kind of pydantic's error."""
OTHERS = {
    "extra_forbidden": "is not known here; leave it out",
    "missing": "must be given",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have {min_length} or more characters",
    "too_long": "must have at most {max_length} items, got {actual_length}",
    "too_short": "must have {min_length} or more items, got {actual_length}",
}
SENTENCES = {**{kind: f"must be {words}" for kind, words in KINDS.items()}, **OTHERS}
NO_FILE = "Expected UploadFile"
"""How FastAPI begins to say that a file was sent as text."""


def field_name(error: Mapping[str, Any]) -> str | None:
    """Where in a request an error is.

    Example:
        >>> field_name({"type": "missing", "loc": ("body", "image", "shape", 0)})
        'image.shape.0'
    """
    place = error["loc"]
    if error["type"] == "json_invalid":  # its place is a number of characters
        return None
    parts = place[1:] if place and place[0] in ("body", "query", "path", "header") else place
    return ".".join(map(str, parts)) or None


def sentence(error: Mapping[str, Any], field: str | None) -> str:
    """An error in our own form.

    Example:
        >>> sentence({"type": "missing", "msg": "Field required"}, "seed")
        'seed must be given'
        >>> sentence({"type": "less_than_equal", "ctx": {"le": 9.0}}, "temperature")
        'temperature must be at most 9'
    """
    name = field or "the request"
    if error["type"] in SENTENCES:
        values = {key: _plain(value) for key, value in error.get("ctx", {}).items()}
        return f"{name} {SENTENCES[error['type']].format_map(values)}"
    if error["type"] == "json_invalid":
        return "the request must be whole JSON"
    text = str(error["msg"]).removeprefix("Value error, ")
    if text.startswith(NO_FILE):
        return f"{name} must be sent as a file, got text"
    return text if text.startswith(name) else f"{name}: {text}"


def _plain(value: object) -> object:
    """A number without needless digits; how many there are of more than are counted."""
    if value is None:
        return "more"
    return f"{value:g}" if isinstance(value, float) else value
