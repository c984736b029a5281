"""How to train: every knob of `fit`. Knows no network and imports no torch."""

import math
from dataclasses import dataclass

OPTIMIZERS = ("adam", "adamw", "muon")
SCHEDULES = ("constant", "cosine", "linear", "exponential")
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Settings of one training run.

    Attributes:
        steps: Number of updates after which training ends.
        minutes: Wall-clock budget. Training ends, and the schedule with it, at whichever of
            `steps` and `minutes` comes first. A run that follows the clock cannot be repeated bit
            for bit.
        batch_size: Images an update, over all processes.
        accumulate: In how many passes each process takes its images of an update: less memory, the
            same update but for rounding.
        optimizer: "adam", "adamw", or "muon" (orthogonalised momentum for kernels, Adam for the
            rest).
        learning_rate: Peak learning rate.
        adam_learning_rate: With "muon": the peak rate of the parameters that Adam updates.
        betas: Decay of Adam's first and second moment.
        weight_decay: Decoupled weight decay ("adamw", "muon").
        warmup: Updates over which the rate rises linearly from zero.
        schedule: How the rate falls after that: "constant", "cosine" or "linear" to zero, or
            "exponential".
        decay: Factor an update of the exponential schedule.
        clip_norm: Largest global norm of the gradient; larger ones are scaled down. None: no
            clipping.
        spike: Leave out an update whose gradient norm exceeds so many times the median of the last
            100 (once 20 are known), or which is not finite, and count it. Ten updates in a row that
            are not finite end the run. None: each update counts, and the first that is not finite
            ends the run.
        border_weight: What a pixel counts whose window reaches over the border of its image, where
            others count 1: such pixels are many in small parts and few in large pictures. Needs a
            model whose window is smaller than the parts.
        pixels: How many pixels are drawn of each image of a batch; None: all are taken. It is
            quicker than all for nets that read one window of the image.
        ema: Decay of an exponential moving average of the weights that is evaluated and kept in
            place of the last weights. None: no average.
        precision: "float32", or "bfloat16" for the products of the network while it is trained, for
            GPUs that have it (and CPUs with AMX; on others it is slower). The head's likelihoods,
            the weights and every evaluation are float32 in both.
        compile: Whether torch compiles the training pass: a minute or more at the start, then
            faster on GPUs. On CPUs it needs a C++ compiler, and one thread does the work of all.
        accelerate: Whether layers train by fused kernels on CPUs, several operations in one; sums
            round differently. False: torch's own operations, one by one.
        seed: Of the initial weights, the order of images and every draw.
        threads: CPU threads of each process. None: torch's default. Images are shared out over
            them, and sums round differently for another number: bits repeat for the same number
            only.
        validate_every: Updates between evaluations on held-out images.
        validations: Such evaluations at least, spread over a run by the clock where `minutes` is
            set. 0: only those of `validate_every`.
        validation_images: How many validation images those evaluations use.
        test_images: How many test images they use, for the curve alone: nothing is ever chosen by
            it.
        preview_every: Updates between previews (samples from the same noise), the first before
            any. 0: none.
        previews: Previews spread evenly over the run, by clock where `minutes` is set, and one
            before it. 0: none.
        preview_count: Images in a preview.
        save_every: Updates between resume points.
        tensorboard: Whether the figures of `metrics.csv` also go to TensorBoard event files, in the
            folder `tensorboard` of the run. Needs `pip install 'nextpixel[log]'`.
    """

    steps: int = 10_000
    minutes: float | None = None
    batch_size: int = 64
    accumulate: int = 1
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    adam_learning_rate: float = 4e-3
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    warmup: int = 0
    schedule: str = "constant"
    decay: float = 1.0
    clip_norm: float | None = None
    spike: float | None = None
    border_weight: float = 1.0
    pixels: int | None = None
    ema: float | None = None
    precision: str = "float32"
    compile: bool = False
    accelerate: bool = True
    seed: int = 0
    threads: int | None = None
    validate_every: int = 500
    validations: int = 8
    validation_images: int = 1000
    test_images: int = 0
    preview_every: int = 0
    previews: int = 0
    preview_count: int = 16
    save_every: int = 500
    tensorboard: bool = False

    def __post_init__(self) -> None:
        """Check every value once, here.

        Raises:
            TypeError: If a number is of another type.
            ValueError: If a value is invalid.
        """
        _check_choice("optimizer", self.optimizer, OPTIMIZERS)
        _check_choice("schedule", self.schedule, SCHEDULES)
        _check_choice("precision", self.precision, PRECISIONS)
        for name in _FROM_ONE:
            _check_integer(name, getattr(self, name), at_least=1)
        for name in _FROM_ZERO:
            _check_integer(name, getattr(self, name), at_least=0)
        for name in ("learning_rate", "adam_learning_rate", "minutes", "clip_norm"):
            _check(name, getattr(self, name), above=0)
        _check("weight_decay", self.weight_decay, at_least=0)
        _check("spike", self.spike, above=1)
        _check("decay", self.decay, above=0, at_most=1)
        _check("border_weight", self.border_weight, above=0, at_most=1)
        _check("ema", self.ema, at_least=0, below=1)
        for name in ("tensorboard", "compile", "accelerate"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} must be true or false, got {getattr(self, name)!r}")
        if self.compile and self.pixels is not None:
            raise ValueError(f"pixels must be left out with compile, got {self.pixels}")
        if self.weight_decay and self.optimizer == "adam":
            raise ValueError(
                "weight_decay must be 0 with optimizer 'adam', which has none, got "
                f"{self.weight_decay}; choose adamw or muon"
            )
        if not isinstance(self.betas, tuple) or len(self.betas) != 2:
            raise ValueError(f"betas must be two numbers, got {self.betas!r}")
        for beta in self.betas:
            _check("betas", beta, at_least=0, below=1)


_FROM_ONE = (
    "pixels",
    "steps",
    "batch_size",
    "accumulate",
    "threads",
    "validate_every",
    "validation_images",
    "preview_count",
    "save_every",
)
_OPTIONAL = ("pixels", "minutes", "clip_norm", "spike", "ema", "threads")
_FROM_ZERO = ("warmup", "seed", "validations", "test_images", "preview_every", "previews")


def _check_integer(name: str, value: object, *, at_least: int) -> None:
    if value is None and name in _OPTIONAL:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    _check(name, value, at_least=at_least)


def _check(
    name: str,
    value: object,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> None:
    if value is None and name in _OPTIONAL:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, got {value!r}")
    bounds = []
    if at_least is not None:
        bounds.append((value >= at_least, f"at least {at_least}"))
    if at_most is not None:
        bounds.append((value <= at_most, f"at most {at_most}"))
    if above is not None:
        bounds.append((value > above, f"above {above}"))
    if below is not None:
        bounds.append((value < below, f"below {below}"))
    if not math.isfinite(value):
        bounds.append((False, "finite"))
    if not all(holds for holds, _ in bounds):
        raise ValueError(f"{name} must be {' and '.join(text for _, text in bounds)}, got {value}")


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
