"""The benchmark of photographs: its table and its map."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import nextpixel as npx

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import photograph_table


def test_the_table_of_photographs_counts_archives_that_come_back(tmp_path, capsys):
    rng = np.random.default_rng(1)
    (tmp_path / "test").mkdir()
    for number in range(2):
        pixels = rng.integers(100, 110, (9 + number, 7, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "test" / f"{number}.png")
    net = npx.build("windowed-pixelcnn", shape=(3, 8, 8), levels=256, features=16, seed=0)
    npx.save(net, tmp_path / "net")
    photograph_table.table(tmp_path / "test", [str(tmp_path / "net")])
    printed = capsys.readouterr().out
    bits = photograph_table.bits_map(net, pixels).sum()
    size, _, _ = photograph_table.ours(net, tmp_path / "test" / "1.png")
    assert 0 < 8 * size - bits < 8 * 100 + 0.01 * bits
    row = next(line for line in printed.splitlines() if line.startswith("| 1 |"))
    assert f"{8 * size / pixels.size:.3f}" in row
    assert "KB/s encoded" in printed


def test_the_map_of_a_photograph_is_that_of_the_whole_picture(tmp_path):
    net = npx.build("windowed-pixelcnn", shape=(3, 70, 9), levels=256, features=16, seed=0)
    pixels = np.random.default_rng(2).integers(0, 256, (70, 9, 3), dtype=np.uint8)
    levels = torch.from_numpy(pixels).movedim(2, 0)[None].long()
    expected = -net.log_prob(levels).item() / math.log(2)
    assert photograph_table.bits_map(net, pixels, rows=16).sum() == pytest.approx(
        expected, rel=1e-5
    )
