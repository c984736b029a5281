"""Runs that lie below a folder, and their best figures; reads files only, and imports no torch."""

import csv
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf, isnan, prod
from pathlib import Path
from typing import Any

from nextpixel.errors import NextPixelError

METRICS = "metrics.csv"
CONFIG, WEIGHTS = "config.json", "model.safetensors"
"""As in `nextpixel.checkpoint`, which costs torch."""
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True)
class Summary:
    """One run; what is not known yet is None.

    Attributes:
        folder: Of the run.
        step: Updates done at its last evaluation.
        seconds: Wall-clock time of training until then.
        best_step: Updates after which validation images were likeliest.
        validation_nats: Their likelihood there, nats per image.
        test_nats: Likelihood of all test images if they were measured, else of those of the curve
            at `best_step`; None if there are neither.
        all_test_images: Whether it is that of all.
        parameters: Number of weights.
        config: Content of its `config.json`, or of the last weights' before there are best ones;
            empty if there is neither.
    """

    folder: Path
    step: int | None = None
    seconds: float | None = None
    best_step: int | None = None
    validation_nats: float | None = None
    test_nats: float | None = None
    all_test_images: bool = False
    parameters: int | None = None
    config: dict[str, Any] = field(default_factory=dict)


def find_runs(folder: Path) -> Iterator[Path]:
    """Folders of runs at or below a folder, sorted.

    Raises:
        ValueError: If there is no such folder.
        NextPixelError: If there are none.
    """
    if not folder.is_dir():
        raise ValueError(f"folder must be one with runs in it, got {str(folder)!r}")
    found = sorted(path.parent for path in folder.rglob(METRICS))
    if not found:
        raise NextPixelError(f"{folder} holds no runs: no {METRICS} lies in it or below")
    yield from found


def summarize(folder: Path) -> Summary:
    """Sum up a run.

    Raises:
        NextPixelError: If a file is damaged.
    """
    rows = read_rows(folder / METRICS)
    parameters = count_parameters(folder / WEIGHTS)
    best_config = read_config(folder / CONFIG)
    config = best_config or read_config(folder / "last" / CONFIG) or {}
    if not rows:
        return Summary(folder, parameters=parameters, config=config)
    best = min(rows, key=_nats)
    measured = _evaluation(best_config)
    return Summary(
        folder,
        step=int(rows[-1]["step"] or 0),
        seconds=rows[-1]["seconds"],
        best_step=int(best["step"] or 0),
        validation_nats=best["validation_nats"],
        test_nats=best.get("test_nats") if measured is None else measured,
        all_test_images=measured is not None,
        parameters=parameters,
        config=config,
    )


def read_rows(path: Path) -> list[dict[str, float | None]]:
    """Rows of a `metrics.csv`; an empty cell is None.

    Raises:
        NextPixelError: If it cannot be read, or is no such table.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        found = [{key: float(cell) if cell else None for key, cell in row.items()} for row in rows]
    except OSError as error:
        raise NextPixelError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, csv.Error) as error:
        raise NextPixelError(f"{path} is no table of training metrics: {error}") from error
    wanted = {"step", "seconds", "validation_nats"}
    if any(not wanted <= row.keys() for row in found):
        raise NextPixelError(f"{path} is no table of training metrics: columns are missing")
    return found


def _nats(row: dict[str, float | None]) -> float:
    """Of the validation images; what is no number is the worst."""
    nats = row["validation_nats"]
    return inf if nats is None or isnan(nats) else nats


def read_config(path: Path) -> dict[str, Any] | None:
    """What a `config.json` says, with all its sections; None if there is none.

    Raises:
        NextPixelError: If it cannot be read.
    """
    try:
        config: Any = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise NextPixelError(f"{path} cannot be read as JSON: {error}") from error
    found = config if isinstance(config, dict) else {}
    for name in ("model", "data", "training", "evaluation"):
        if not isinstance(found.get(name), dict):
            found[name] = {}
    return found


def _evaluation(config: dict[str, Any] | None) -> float | None:
    measured = (config or {}).get("evaluation", {})
    return float(measured["nats"]) if "nats" in measured else None


def count_parameters(path: Path) -> int | None:
    """Number of weights, from the header of a safetensors file; None if there is none."""
    try:
        with path.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            header: dict[str, Any] = json.loads(file.read(min(size, 1 << 24)))
        return sum(
            int(prod(tensor["shape"]))
            for name, tensor in header.items()
            if name != "__metadata__" and not name.endswith(_STATISTICS)
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, struct.error) as error:
        raise NextPixelError(f"{path} is no whole safetensors file: {error}") from error
