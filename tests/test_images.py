"""Levels, 8-bit pixels and the network's scale: the conversions are exact."""

import pytest
import torch

from nextpixel.images import check_levels, quantize, to_network, to_pixels

ALL_PIXELS = torch.arange(256)
ALL_K = range(2, 257)


def rule(levels):
    """The seeds' rule in exact integers: floor(v / 255 * K), the top pixel clipped."""
    return [min(levels - 1, v * levels // 255) for v in range(256)]


def distances(k):
    """(K - 1) times the distance of every pixel to the even share of every level: (K, 256)."""
    return (ALL_PIXELS * (k - 1) - 255 * torch.arange(k).unsqueeze(1)).abs()


def test_quantize_is_the_floor_rule_for_every_pixel_and_k():
    assert [k for k in ALL_K if quantize(ALL_PIXELS, k).tolist() != rule(k)] == []


def test_quantize_never_decreases_and_reaches_every_level():
    got = {k: quantize(ALL_PIXELS, k).tolist() for k in ALL_K}
    assert [k for k in ALL_K if got[k] != sorted(got[k])] == []
    assert [k for k in ALL_K if set(got[k]) != set(range(k))] == []


def test_quantize_undoes_to_pixels():
    back = {k: quantize(to_pixels(torch.arange(k), k), k).tolist() for k in ALL_K}
    assert [k for k in ALL_K if back[k] != list(range(k))] == []


def test_to_pixels_is_the_pixel_nearest_to_the_even_share_among_those_of_the_level():
    wrong = []
    for k in ALL_K:
        levels = torch.arange(k)
        foreign = quantize(ALL_PIXELS, k) != levels.unsqueeze(1)
        nearest = distances(k).masked_fill(foreign, 10**6).amin(1)
        chosen = distances(k)[levels, to_pixels(levels, k).long()]
        wrong += [] if torch.equal(chosen, nearest) else [k]
    assert wrong == []


def test_two_levels_are_the_threshold_at_128():
    assert quantize(ALL_PIXELS, 2).tolist() == [0] * 128 + [1] * 128


def test_256_levels_are_the_pixels_themselves():
    assert quantize(ALL_PIXELS, 256).tolist() == list(range(256))
    assert to_pixels(ALL_PIXELS, 256).tolist() == list(range(256))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
def test_quantize_takes_any_integer_type_and_gives_bytes_of_the_same_shape(dtype):
    pixels = torch.tensor([[0, 255], [254, 1]], dtype=dtype)
    got = quantize(pixels, 17)
    assert got.dtype == torch.uint8
    assert got.tolist() == [[0, 16], [16, 0]]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_to_pixels_gives_bytes_from_black_to_white(dtype):
    got = to_pixels(torch.tensor([[[0, 16]]], dtype=dtype), 17)
    assert got.dtype == torch.uint8
    assert got.tolist() == [[[0, 255]]]


@pytest.mark.parametrize("convert", [quantize, to_pixels])
@pytest.mark.parametrize("levels", [-1, 0, 1, 257])
def test_a_number_of_levels_that_bytes_cannot_have_is_refused(convert, levels):
    with pytest.raises(ValueError, match=f"levels must be 2 to 256, got {levels}"):
        convert(ALL_PIXELS[:1], levels)


@pytest.mark.parametrize("levels", [2, 256])
def test_the_ends_of_the_allowed_levels_are_accepted(levels):
    check_levels(levels)


@pytest.mark.parametrize("levels", [2, 3, 4, 17, 256])
def test_the_network_scale_is_even_from_minus_one_to_one(levels):
    got = to_network(torch.arange(levels), levels, torch.float64)
    expected = torch.linspace(-1, 1, levels, dtype=torch.float64)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("levels", [2, 3, 4, 17, 256])
def test_the_unit_scale_is_even_from_zero_to_one(levels):
    got = to_network(torch.arange(levels), levels, torch.float64, "unit")
    expected = torch.linspace(0, 1, levels, dtype=torch.float64)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_network_scale_keeps_shape_and_takes_the_dtype(dtype):
    got = to_network(torch.zeros(2, 3, 4, 5, dtype=torch.uint8), 4, dtype)
    assert (got.shape, got.dtype) == ((2, 3, 4, 5), dtype)
