"""Models: one file per paper, and the registry that builds them by name."""

from nextpixel.models.autoencoder import PixelAutoencoder, PixelAutoencoderConfig
from nextpixel.models.base import PixelModel
from nextpixel.models.gated import GatedPixelCNN, GatedPixelCNNConfig
from nextpixel.models.mixtures import Mixture, MixtureConfig, mixture
from nextpixel.models.pixelcnn import PixelCNN, PixelCNNConfig
from nextpixel.models.plusplus import PixelCNNPlusPlus, PixelCNNPlusPlusConfig
from nextpixel.models.registry import build, model_class, names, register
from nextpixel.models.residual import ResidualPixelCNN, ResidualPixelCNNConfig
from nextpixel.models.sizes import at_size

__all__ = [
    "GatedPixelCNN",
    "GatedPixelCNNConfig",
    "Mixture",
    "MixtureConfig",
    "PixelAutoencoder",
    "PixelAutoencoderConfig",
    "PixelCNN",
    "PixelCNNConfig",
    "PixelCNNPlusPlus",
    "PixelCNNPlusPlusConfig",
    "PixelModel",
    "ResidualPixelCNN",
    "ResidualPixelCNNConfig",
    "at_size",
    "build",
    "mixture",
    "model_class",
    "names",
    "register",
]
