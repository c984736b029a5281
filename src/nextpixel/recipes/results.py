"""What recipes measured, as `benchmarks/record.py` wrote it down; nothing is computed here."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "results.json"


@dataclass(frozen=True)
class Measured:
    """Figures of one finished run.

    Attributes:
        nats: Mean negative log-probability of a test image.
        standard_error: Of `nats`.
        bits_per_dim: The same in bits per sub-pixel.
        n: Test images.
        protocol: How their levels were made.
        data: Their set.
        conditioned_on: What the model was conditioned on besides the past.
        command: What was run.
        minutes: Wall-clock time of training.
        images: Training images seen.
        hardware: Processor and cores.
        torch: Version.
        parameters: Of the net; 0 stands for those of the recipe's.
        commit: Of the source that trained it; empty where it was not recorded.
        runs: Nats of all runs, where this is the one with the median of several seeds.
    """

    nats: float
    standard_error: float
    bits_per_dim: float
    n: int
    protocol: str
    data: str
    conditioned_on: str
    command: str
    minutes: float
    images: int
    hardware: str
    torch: str
    parameters: int = 0
    commit: str = ""
    runs: tuple[float, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values, without what was not recorded."""
        optional = {"commit", "runs"}
        return {k: v for k, v in asdict(self).items() if v or k not in optional}


@dataclass(frozen=True)
class Results:
    """What is known of the recipes.

    Attributes:
        parameters: Of each recipe's model, by the recipe's name.
        measured: By the recipe's name, and a label after it where settings differ from it.
    """

    parameters: dict[str, int]
    measured: dict[str, Measured]

    @classmethod
    def read(cls) -> "Results":
        """Read the file that comes with the package."""
        content: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
        measured = {name: _measured(values) for name, values in content["measured"].items()}
        return cls(content["parameters"], measured)

    def of(self, name: str) -> dict[str, Measured]:
        """Figures of a recipe and of its variants."""
        return {label: found for label, found in self.measured.items() if label.split()[0] == name}

    def as_dict(self) -> dict[str, Any]:
        """The content of the file."""
        measured = {name: found.as_dict() for name, found in sorted(self.measured.items())}
        return {"parameters": self.parameters, "measured": measured}


def _measured(values: dict[str, Any]) -> Measured:
    return Measured(**{**values, "runs": tuple(values.get("runs", ()))})
