"""How batch norm lets a pixel see its future: counted, for the net of seed 000.

    python examples/batch_norm_leak.py           eight masked 7x7 convolutions of 64 features
    python examples/batch_norm_leak.py --quick   two of 8 features

In training mode a batch norm subtracts means over the whole batch, so the prediction at one pixel
has a derivative with respect to later pixels, and to other images. In evaluation mode it has none.
"""

import argparse

import torch

import nextpixel as npx


def sees(model: npx.models.PixelModel, levels: torch.Tensor) -> tuple[int, int, int]:
    """Later pixels, and pixels of the other image, that the middle pixel of image 0 sees."""
    levels = levels.double().requires_grad_()
    _, height, width = model.shape
    row, column = height // 2, width // 2
    log_p = model.predict(levels).logits[0, 0, row, column]
    weights = torch.randn(len(log_p), generator=torch.Generator().manual_seed(1)).double()
    (seen,) = torch.autograd.grad(log_p @ weights, levels)
    not_known = seen[0, 0].flatten()[row * width + column :]
    return int((not_known != 0).sum()), len(not_known), int((seen[1] != 0).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description="Count what batch norm leaks.")
    parser.add_argument("--quick", action="store_true", help="a smaller net")
    features, layers = (8, 2) if parser.parse_args().quick else (64, 8)
    net = {"side": 7, "pointwise": 0, "batch_norm": True, "bias": False}
    model = npx.build(
        "pixelcnn", seed=0, shape=(1, 28, 28), levels=256, features=features, layers=layers, **net
    ).double()
    torch.nn.init.normal_(model.last.weight, std=0.1, generator=torch.Generator().manual_seed(0))
    levels = npx.load_data("mnist").train.levels[:2]
    for mode in (True, False):
        future, not_known, other = sees(model.train(mode), levels)
        print(
            f"{'training' if mode else 'evaluation'} mode: the middle pixel sees {future} of "
            f"{not_known} pixels that are not known yet, and {other} of 784 of another image"
        )


if __name__ == "__main__":
    main()
