"""Exact autoregressive image models: train, score, sample, complete, audit.

Every pixel is predicted from the pixels before it, so a model gives the exact probability of an
image. The parts, in the order in which data passes them; each imports only from those before it:

    config       files and words -> frozen dataclasses, strictly
    runtime      threads, memory, devices, processes, compiled code
    order        the scan: what comes before what
    images       levels <-> 8-bit pixels <-> the network's scale
    data         named sets, folders and files -> levels in splits
    program      a network as data: one class an operation, one schedule
    nn, heads    masked layers; features -> distributions over levels
    models       a network and a head, by name
    engine       programs carried out step by step
    accelerate   fused kernels that train layers on CPUs
    checkpoint   a model as a folder
    likelihood   nats, bits per dimension, standard error
    audit        who sees whom, proved
    classify     classes by Bayes
    health       whether a model listens to its condition
    training     fit a model, resumably
    sampling     draw images, or their missing parts
    codec        lossless archives
    recipes      data, model and training under one name
    gallery      levels -> pictures
    playground   the same in a browser
    cli          the command `nextpixel`

The names below are imported when first used, so that `nextpixel --help` costs no torch.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nextpixel import checkpoint, data, gallery, models, recipes
    from nextpixel.audit import audit
    from nextpixel.checkpoint import load, save
    from nextpixel.classify import classify
    from nextpixel.codec import compress, decompress
    from nextpixel.data import Dataset, Split, from_tensors, load_data, load_images
    from nextpixel.errors import NextPixelError
    from nextpixel.evaluation import Difference, Evaluation
    from nextpixel.heads import Distribution, Head, register_head
    from nextpixel.health import health
    from nextpixel.likelihood import compare, evaluate, surprise_map
    from nextpixel.models import PixelModel, at_size, build, mixture, register
    from nextpixel.nn import ClassCondition, MapCondition, VectorCondition
    from nextpixel.recipes import build_recipe
    from nextpixel.sampling import complete, complete_by_particles, log_prob_of, sample
    from nextpixel.training import TrainConfig, fit

__version__ = "0.1.0"

__all__ = [
    "ClassCondition",
    "Dataset",
    "Difference",
    "Distribution",
    "Evaluation",
    "Head",
    "MapCondition",
    "NextPixelError",
    "PixelModel",
    "Split",
    "TrainConfig",
    "VectorCondition",
    "at_size",
    "audit",
    "build",
    "build_recipe",
    "checkpoint",
    "classify",
    "compare",
    "complete",
    "complete_by_particles",
    "compress",
    "data",
    "decompress",
    "evaluate",
    "fit",
    "from_tensors",
    "gallery",
    "health",
    "load",
    "load_data",
    "load_images",
    "log_prob_of",
    "mixture",
    "models",
    "recipes",
    "register",
    "register_head",
    "sample",
    "save",
    "surprise_map",
]

_HOMES = {
    "ClassCondition": "nn",
    "Dataset": "data",
    "Distribution": "heads",
    "Difference": "evaluation",
    "Evaluation": "evaluation",
    "Head": "heads",
    "MapCondition": "nn",
    "NextPixelError": "errors",
    "PixelModel": "models",
    "Split": "data",
    "TrainConfig": "training",
    "VectorCondition": "nn",
    "at_size": "models",
    "audit": "audit",
    "build": "models",
    "build_recipe": "recipes",
    "classify": "classify",
    "compare": "likelihood",
    "complete": "sampling",
    "complete_by_particles": "sampling",
    "log_prob_of": "sampling",
    "compress": "codec",
    "decompress": "codec",
    "evaluate": "likelihood",
    "fit": "training",
    "from_tensors": "data",
    "health": "health",
    "load": "checkpoint",
    "load_data": "data",
    "load_images": "data",
    "mixture": "models",
    "register": "models",
    "register_head": "heads",
    "sample": "sampling",
    "save": "checkpoint",
    "surprise_map": "likelihood",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


class _Package(ModuleType):
    """This package, where a public function keeps its name although its module has the same."""

    def __setattr__(self, name: str, value: object) -> None:
        # Importing nextpixel.audit binds the module to the package's attribute `audit`.
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
