"""The description of the addresses (OpenAPI), with the names of the models that are served."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI

NAMED = ("model", "name")
"""Fields and parameters that hold the name of a model."""


def describe(app: FastAPI, names: Sequence[str]) -> None:
    """Make an application's description say which models there are."""
    description = app.openapi()
    for schema in description.get("components", {}).get("schemas", {}).values():
        if schema["title"].endswith("In") or schema["title"].startswith("Body_"):
            _name_all(schema.get("properties", {}), names)
    for methods in description["paths"].values():
        for operation in methods.values():
            for parameter in operation.get("parameters", ()):
                if parameter["name"] in NAMED:
                    parameter["schema"]["enum"] = list(names)


def _name_all(properties: Mapping[str, Any], names: Sequence[str]) -> None:
    for field, schema in properties.items():
        if field in NAMED:
            schema["enum"] = list(names)
        elif field == "models":
            schema["items"]["enum"] = list(names)
