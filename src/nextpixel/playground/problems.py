"""Errors as plain sentences: `{"detail": ..., "field": ...}`, never a path, never a traceback."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException


class Problem(BaseModel):
    """What an error says."""

    detail: str
    field: str | None = None


class Refusal(Exception):
    """A request that is not answered, and why.

    Args:
        detail: One plain sentence.
        field: The part of the request that caused it.
        status: Of the answer.
        headers: More headers of the answer.
    """

    def __init__(
        self,
        detail: str,
        field: str | None = None,
        *,
        status: int = 422,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail, self.field, self.status = detail, field, status
        self.headers = dict(headers or {})


def answer(
    status: int, detail: str, field: str | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """A problem as a response."""
    content = {"detail": detail, "field": field}
    return JSONResponse(content, status, dict(headers) if headers else None)


def install(app: FastAPI) -> None:
    """Answer every error in the same form."""
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unforeseen)


def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refusal)
    return answer(error.status, error.detail, error.field, error.headers)


def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return answer(error.status_code, str(error.detail), None, error.headers)


def _unforeseen(_: Request, error: Exception) -> JSONResponse:
    del error  # its text may name files; uvicorn shows it on the server's own terminal
    return answer(500, "the server failed at this; its terminal says how")


def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    field = field_of(first["loc"])
    return answer(422, sentence(first, field), field)


def field_of(place: Sequence[str | int]) -> str | None:
    """Where in a request an error is.

    Example:
        >>> field_of(("body", "image", "shape", 0))
        'image.shape.0'
    """
    parts = place[1:] if place and place[0] in ("body", "query", "path", "header") else place
    return ".".join(map(str, parts)) or None


def sentence(error: Mapping[str, Any], field: str | None) -> str:
    """An error of pydantic in our own form.

    Example:
        >>> sentence({"type": "missing", "msg": "Field required"}, "seed")
        'seed must be given'
        >>> sentence({"type": "less_than_equal", "msg": "Input should be at most 9"}, "count")
        'count must be at most 9'
    """
    name = field or "the request"
    if error["type"] == "missing":
        return f"{name} must be given"
    if error["type"] == "extra_forbidden":
        return f"{name} is not known here; leave it out"
    if error["type"] == "json_invalid":
        return "the request must be whole JSON"
    text = str(error["msg"]).removeprefix("Value error, ")
    if text.startswith("Input should be"):
        return f"{name} must be{text.removeprefix('Input should be')}"
    return text if text.startswith(name) else f"{name}: {text}"
