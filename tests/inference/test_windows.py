"""Sliding windows: what plain loops over windows give, in slabs as at once."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data.utils import compute_importance_map, dense_patch_slices
from numpy.typing import NDArray
from torch import Tensor, nn

from unifocal.inference.windows import Windows, slabs_of, window_logits, window_slabs, window_starts


class Local(nn.Module):
    """A network whose output depends on the place inside the window, as that of any padded network does."""

    def __init__(self, channels: int, outputs: int, dimensions: int) -> None:
        super().__init__()
        kind = nn.Conv2d if dimensions == 2 else nn.Conv3d
        self.convolution = kind(channels, outputs, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        ramp = torch.linspace(0, 1, image.shape[-1])
        return self.convolution(image) * (1 + ramp)


def by_hand(network: nn.Module, image: NDArray[np.float32], windows: Windows) -> NDArray[np.float32]:
    """Every window in plain loops; the image is at least as large as a window."""
    total: NDArray[np.float64] | None = None
    size = windows.size
    gaussian = np.asarray(compute_importance_map(size, mode=windows.weights, sigma_scale=0.125))
    count = np.zeros(image.shape[1:])
    starts = [window_starts(n, k, windows.overlap) for n, k in zip(image.shape[1:], size, strict=True)]
    for place in itertools.product(*starts):
        cut = tuple(slice(start, start + length) for start, length in zip(place, size, strict=True))
        with torch.inference_mode():
            part = network(torch.from_numpy(image[(slice(None), *cut)])[None])[0].numpy()
        if total is None:
            total = np.zeros((len(part), *image.shape[1:]))
        total[(slice(None), *cut)] += gaussian * part
        count[cut] += gaussian
    assert total is not None
    return (total / count).astype(np.float32)


@pytest.mark.parametrize("weights", ["gaussian", "constant"])
@pytest.mark.parametrize(("spatial", "size"), [((23, 30), (8, 12)), ((17, 12, 21), (8, 8, 10)), ((8, 9, 8), (8, 8, 8))])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.8])
def test_it_is_the_weighted_mean_over_windows(
    spatial: tuple[int, ...], size: tuple[int, ...], overlap: float, weights: str
) -> None:
    image = np.random.default_rng(0).normal(size=(2, *spatial)).astype(np.float32)
    network = Local(2, 3, len(spatial))
    windows = Windows(size, overlap, weights, batch_size=3)  # type: ignore[arg-type]
    expected = by_hand(network, image, windows)
    assert np.allclose(window_logits(network, image, windows, 3), expected, atol=1e-5)
    tight = Windows(size, overlap, weights, batch_size=3, memory_bytes=1)  # type: ignore[arg-type]
    slabs = list(window_slabs(network, image, tight, 3))
    assert len(slabs) > 1 or max(spatial) <= 2 * max(size)
    assert np.allclose(window_logits(network, image, tight, 3), expected, atol=1e-5)


@given(st.integers(1, 200), st.integers(1, 40), st.floats(0, 0.9), st.integers(1, 120))
@settings(max_examples=300)
def test_slabs_cover_every_plane_once_with_all_its_windows(extent: int, size: int, overlap: float, planes: int) -> None:
    slabs = slabs_of(extent, size, overlap, planes)
    assert slabs[0].first == 0
    assert slabs[-1].last == extent
    starts = window_starts(extent, size, overlap)
    for before, after in itertools.pairwise(slabs):
        assert before.last == after.first
    for slab in slabs:
        assert slab.start <= slab.first < slab.last <= slab.stop
        inside = [start for start in starts if start + min(size, extent) > slab.first and start < slab.last]
        assert slab.start <= inside[0]
        assert min(inside[-1] + size, extent) <= slab.stop
        # The windows of the slab alone are those of the whole that lie in it.
        own = [slab.start + start for start in window_starts(slab.stop - slab.start, size, overlap)]
        assert own == [start for start in starts if slab.start <= start and min(start + size, extent) <= slab.stop]


@pytest.mark.parametrize(("extent", "size"), [(50, 8), (51, 8), (8, 8), (5, 8)])
@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.5, 0.75])
def test_windows_begin_where_monai_lays_them(extent: int, size: int, overlap: float) -> None:
    interval = size if extent <= size else max(1, int(size * (1 - overlap)))
    slices = dense_patch_slices((max(extent, size),), (size,), (interval,))
    assert window_starts(extent, size, overlap) == [each[0].start for each in slices]


def test_a_small_image_is_padded_and_cut_back() -> None:
    image = np.random.default_rng(0).normal(size=(1, 5, 20, 3)).astype(np.float32)
    network = nn.Conv3d(1, 2, 1)
    logits = window_logits(network, image, Windows((8, 8, 8)), 2)
    assert np.allclose(logits, network(torch.from_numpy(image)[None])[0].detach().numpy(), atol=1e-5)


def test_mirroring_averages_over_all_mirrorings() -> None:
    image = np.random.default_rng(0).normal(size=(1, 8, 8)).astype(np.float32)
    network = Local(1, 1, 2)
    tensor = torch.from_numpy(image)[None]
    ways: list[list[int]] = [[], [2], [3], [2, 3]]
    expected = torch.stack([network(tensor.flip(way)).flip(way) for way in ways]).mean(0)[0].detach().numpy()
    assert np.allclose(window_logits(network, image, Windows((8, 8), mirror=(0, 1)), 1), expected, atol=1e-6)


@pytest.mark.parametrize(
    "wishes", [{"overlap": 1.0}, {"overlap": -0.1}, {"batch_size": 0}, {"mirror": (3,)}, {"memory_bytes": 0}]
)
def test_numbers_out_of_range_are_refused(wishes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wishes))):
        Windows((8, 8, 8), **wishes)  # type: ignore[arg-type]
