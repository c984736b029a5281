"""PixelCNN auto-encoder: a convolutional encoder, and a gated PixelCNN conditioned on its code.

The decoder gives p(x | h(x)), trained end to end. It does not copy: drawn twice from one code, it
gives two images of the same kind. Since the code is made from the image itself, -log p(x | h(x)) is
no likelihood of the image; it says how much of it the code leaves open.

References:
    van den Oord, Kalchbrenner, Vinyals, Espeholt, Graves, Kavukcuoglu (2016), Conditional Image
    Generation with PixelCNN Decoders, section 2.4. https://arxiv.org/abs/1606.05328
"""

from dataclasses import dataclass

from torch import Tensor, nn

from nextpixel.heads import Distribution
from nextpixel.models.gated import GatedPixelCNN, GatedPixelCNNConfig
from nextpixel.models.options import check_counts
from nextpixel.nn import Embedding, Value, VectorCondition
from nextpixel.order import Shape


@dataclass(frozen=True, kw_only=True)
class PixelAutoencoderConfig(GatedPixelCNNConfig):
    """Options of `PixelAutoencoder`: those of its decoder, a `GatedPixelCNN`, and two more.

    Attributes:
        code: Length of the code h.
        encoder_features: Features of the encoder's first convolution; the second has twice as many.
    """

    code: int = 16
    encoder_features: int = 32

    def __post_init__(self) -> None:
        """Check the sizes."""
        super().__post_init__()
        check_counts(self, "code", "encoder_features")
        if self.condition:
            raise ValueError("condition must be left out: the decoder is given the code alone")


class PixelAutoencoder(GatedPixelCNN):
    """Encoder and decoder as one model; its only condition is the code.

    Args:
        shape: (C, H, W).
        levels: K.
        config: Sizes and switches.
    """

    name = "autoencoder"
    Config = PixelAutoencoderConfig
    config: PixelAutoencoderConfig

    def __init__(self, shape: Shape, levels: int, config: PixelAutoencoderConfig) -> None:
        super().__init__(shape, levels, config, [VectorCondition(config.code, form="gate")])
        colors, height, width = shape
        features = config.encoder_features
        self.encoder = nn.Sequential(
            nn.Conv2d(colors, features, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(features, 2 * features, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(2 * features * -(-height // 4) * -(-width // 4), config.code),
        )

    def codes(self, levels: Tensor) -> Tensor:
        """Codes h of images, (B, C, H, W) -> (B, code).

        Raises:
            TypeError: If `levels` are no integers.
            ValueError: If their shape or range is not the model's.
        """
        self.check(levels)
        codes: Tensor = self.encoder(self.scaled(levels, next(self.parameters()).dtype))
        return codes

    def forward(self, levels: Tensor, condition: Value | None = None) -> Distribution:
        """Predict every sub-pixel from its past and a code.

        Args:
            levels: Integers 0..K-1, shape (B, C, H, W).
            condition: Codes (B, code). None: the images' own.

        Returns:
            Distributions over (B, C, H, W); errors as in `PixelModel.forward`.
        """
        return super().forward(levels, self.codes(levels) if condition is None else condition)

    def condition(self, condition: Value | None, count: int) -> Embedding:
        """Check codes for `count` images, and embed them.

        Raises:
            TypeError: If they are no floats.
            ValueError: If they are missing or of another shape.
        """
        if condition is None:
            raise ValueError(
                f"condition must be given: codes (B, {self.config.code}), as codes(levels) makes "
                "them of images"
            )
        return super().condition(condition, count)

    def own_condition(self, levels: Tensor) -> Value | None:
        """The codes of images."""
        return self.codes(levels)

    def condition_of(self, levels: Tensor, labels: Tensor | None) -> Value | None:
        """None: the model makes its own codes."""
        del levels, labels
        return None

    @property
    def condition_in_words(self) -> str:
        """What a likelihood of this model is conditioned on."""
        return (
            f"a code of {self.config.code} numbers made from the image itself, which is not counted"
        )
