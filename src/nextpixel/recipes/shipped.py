"""What recipes measured, and the models that come with the package; no torch is needed to know it.

Records were written by `benchmarks/record.py`, and nothing is computed or loaded here.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "results.json"
SHIPPED = Path(__file__).parents[1] / "shipped"
"""As in `nextpixel.checkpoint`, which costs torch."""
CARD, PICTURE = "README.md", "samples.png"


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


@dataclass(frozen=True)
class Shipped:
    """A shipped model, as its files and the record of its recipe describe it.

    Attributes:
        name: What `nextpixel.load` knows it by.
        architecture: The model's name in the registry.
        data: Name of its data set.
        protocol: How levels were made.
        levels: K.
        condition: What it is given besides the past, in words.
        parameters: Of the net; None if not recorded.
        bytes: Size of its folder.
        nats: Mean negative log-probability of a test image.
        standard_error: Of `nats`.
        bits_per_dim: The same in bits per sub-pixel.
        card: Path of the card.
        picture: Path of the picture.
    """

    name: str
    architecture: str
    data: str
    protocol: str
    levels: int
    condition: str
    parameters: int | None
    bytes: int
    nats: float
    standard_error: float
    bits_per_dim: float
    card: str
    picture: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def shipped_names() -> list[str]:
    """Names of the shipped models, sorted.

    Example:
        >>> "mnist2-gated" in shipped_names()
        True
    """
    return sorted(path.parent.name for path in SHIPPED.glob("*/config.json"))


def describe_shipped(name: str) -> Shipped:
    """What is known of a shipped model.

    Args:
        name: One of `shipped_names()`.

    Example:
        >>> describe_shipped("mnist2-gated-class").condition
        'class (10)'
    """
    folder, results = SHIPPED / name, Results.read()
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    model, data, evaluation = config["model"], config["data"], config["evaluation"]
    return Shipped(
        name=name,
        architecture=model["name"],
        data=data["name"],
        protocol=evaluation["protocol"],
        levels=model["levels"],
        condition=condition_of(model["options"]),
        parameters=_parameters(name, model, results),
        bytes=sum(file.stat().st_size for file in folder.iterdir()),
        nats=evaluation["nats"],
        standard_error=evaluation["standard_error"],
        bits_per_dim=evaluation["bits_per_dim"],
        card=str(folder / CARD),
        picture=str(folder / PICTURE),
    )


def parts_of(name: str) -> list[str]:
    """The shipped models that a shipped mixture is made of; empty for a model with its own weights.

    Example:
        >>> parts_of("mnist-mixture")
        ['mnist-fast-class', 'mnist-laptop-class']
    """
    config = json.loads((SHIPPED / name / "config.json").read_text(encoding="utf-8"))
    return [part["name"] for part in config["model"].get("shipped", ())]


def _parameters(name: str, model: dict[str, Any], results: Results) -> int | None:
    """Number of parameters of a shipped model, of all its parts together; None if not recorded."""
    parts = [part["name"] for part in model.get("shipped", ())]
    each = [parameters_of(part, results) for part in parts or [name]]
    return None if None in each else sum(count or 0 for count in each)


def parameters_of(label: str, results: Results) -> int | None:
    """Number of parameters of a recipe's net, or of a variant's, as recorded; else None."""
    measured: Measured | None = results.measured.get(label)
    if measured and measured.parameters:
        return measured.parameters
    return results.parameters.get(label.split()[0])


def condition_of(options: dict[str, Any]) -> str:
    """What a model of such options is given besides the past, in words.

    Example:
        >>> condition_of({"condition": [{"classes": 10}]}), condition_of({"code": 16})
        ('class (10)', 'own code (16), not counted')
        >>> condition_of({"parts": [{"name": "x", "options": {"condition": [{"classes": 10}]}}]})
        '- (class summed out)'
    """
    kinds = {"classes": "class", "size": "vector", "channels": "map"}
    found = [
        f"{word} ({condition[key]})"
        for condition in options.get("condition", ())
        for key, word in kinds.items()
        if key in condition
    ]
    found += [f"own code ({options['code']}), not counted"] if "code" in options else []
    if any(part["options"].get("condition") for part in options.get("parts", ())):
        return "- (class summed out)"
    return ", ".join(found) or "-"
