"""Networks by name, poolings of anisotropic volumes, and outputs at several resolutions."""

import copy
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from unifocal.losses import DeepSupervisionLoss, DiceCrossEntropyLoss
from unifocal.models import PRESETS, NetworkSpec, UNet, load_bundle, save_bundle, strides_for, try_network


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_works_as_it_says(name: str) -> None:
    dimensions = PRESETS[name].dimensions or 3
    spec = NetworkSpec(name, 1, 2, dimensions, {"width": 2})
    network = spec.build()
    assert try_network(network, spec, (32,) * dimensions) == ""
    assert PRESETS[name].source


def test_source_a_by_name_is_the_published_network() -> None:
    network = NetworkSpec("source_a", 3, 1, 2).build()
    assert sum(weight.numel() for weight in network.parameters()) == 1_941_105


def test_source_b_is_the_original_u_net_in_width() -> None:
    widths = [block[0].out_channels for block in NetworkSpec("source_b_2d", 3, 2, 2).build().encoder]  # type: ignore[union-attr]
    assert widths == [64, 128, 256, 512, 1024]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("monai:BasicUNet", {"features": (4, 4, 4, 4, 4, 4)}),
        ("monai.networks.nets:SegResNet", {"init_filters": 8}),
        ("monai:UNet", {"channels": (4, 8), "strides": (2,)}),
    ],
)
@pytest.mark.parametrize("dimensions", [2, 3])
def test_networks_of_monai_by_name(name: str, arguments: dict[str, object], dimensions: int) -> None:
    spec = NetworkSpec(name, 2, 3, dimensions, arguments)
    assert try_network(spec.build(), spec, (32,) * dimensions) == ""


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (NetworkSpec("unett", 1, 1, 2), "did you mean unet"),
        (NetworkSpec("source_b_3d", 1, 1, 2), "3D"),
        (NetworkSpec("unet", 1, 1, 2, {"feathers": 3}), "feathers"),
        (NetworkSpec("monai:NoSuchNet", 1, 1, 2), "NoSuchNet"),
        (NetworkSpec("no_such_package:Net", 1, 1, 2), "no_such_package"),
        (NetworkSpec("monai:UNet", 1, 1, 2), "channels, strides"),
        (NetworkSpec("torch:zeros", 1, 1, 2, {"size": 3}), "no network"),
        (NetworkSpec("pathlib:Path", 1, 1, 2), "no network"),
    ],
)
def test_bad_networks_are_named(spec: NetworkSpec, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        spec.build()


def test_a_network_that_gives_something_else_is_told() -> None:
    spec = NetworkSpec("torch.nn:Identity", 1, 2, 2)
    assert "expected logits of (1, 2, 8, 8)" in try_network(nn.Identity(), spec, (8, 8))
    failing = nn.Linear(3, 3)
    assert "failed on an image of 8 x 8" in try_network(failing, spec, (8, 8))
    assert failing.training


@given(
    st.lists(st.floats(0.3, 10), min_size=3, max_size=3),
    st.lists(st.integers(4, 160), min_size=3, max_size=3),
    st.integers(1, 6),
)
def test_poolings_never_pool_a_coarse_axis_or_a_short_one(spacing: list[float], size: list[int], depth: int) -> None:
    levels = strides_for(spacing, size, depth)
    assert len(levels) <= depth
    steps, left = list(spacing), list(size)
    for level in levels:
        assert 2 in level
        for axis, factor in enumerate(level):
            if factor == 2:
                assert left[axis] >= 8
                assert steps[axis] <= 2 * min(step for step, length in zip(steps, left, strict=True) if length >= 8)
        steps = [step * factor for step, factor in zip(steps, level, strict=True)]
        left = [-(-length // factor) for length, factor in zip(left, level, strict=True)]


def test_slices_ten_times_as_far_apart_are_pooled_last() -> None:
    assert strides_for((5.0, 0.5, 0.5), (16, 128, 128), 4) == ((1, 2, 2), (1, 2, 2), (1, 2, 2), (2, 2, 2))


@pytest.mark.parametrize("size", [(5, 32, 40), (6, 33, 27)])
def test_strides_keep_any_size(size: tuple[int, ...]) -> None:
    network = UNet(1, 2, dimensions=3, width=2, depth=3, strides=((1, 2, 2), (1, 2, 2), (2, 2, 2)))
    assert network(torch.randn(1, 1, *size)).shape == (1, 2, *size)


def test_deep_supervision_gives_coarser_outputs_in_training_only() -> None:
    network = UNet(1, 2, dimensions=3, width=2, depth=3, deep_supervision=2, strides=((1, 2, 2), (2, 2, 2), (2, 2, 2)))
    image = torch.randn(2, 1, 6, 33, 27)
    outputs = network(image)
    assert [tuple(output.shape[2:]) for output in outputs] == [(6, 33, 27), (6, 17, 14), (3, 9, 7)]
    labels = torch.randint(0, 2, (2, 1, 6, 33, 27))
    DeepSupervisionLoss(DiceCrossEntropyLoss())(outputs, labels).backward()
    assert all(weight.grad is not None for weight in network.parameters())
    network.eval()
    assert network(image).shape == (2, 2, 6, 33, 27)


def test_coarse_outputs_leave_the_full_one_as_it_is() -> None:
    torch.manual_seed(1)
    plain = UNet(1, 1, width=2, depth=3, dropout=())
    torch.manual_seed(1)
    deep = UNet(1, 1, width=2, depth=3, dropout=(), deep_supervision=2)
    deep.load_state_dict(copy.deepcopy(plain.state_dict()), strict=False)
    image = torch.randn(1, 1, 24, 24)
    assert torch.equal(plain(image), deep(image)[0])


@pytest.mark.parametrize("arguments", [{"strides": ((2, 2),)}, {"strides": ((3, 2), (2, 2))}, {"deep_supervision": 2}])
def test_bad_levels_are_named(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        UNet(1, 1, depth=2, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["os:system", "subprocess:Popen", "builtins:exec", "shutil:rmtree"])
def test_a_model_file_cannot_call_what_is_no_network(name: str, tmp_path: Path) -> None:
    trace = tmp_path / "called"
    command = {"args": ["touch", str(trace)], "command": f"touch {trace}", "source": f"open({str(trace)!r}, 'w')"}
    spec = NetworkSpec(name, 1, 1, 2, command)
    save_bundle(tmp_path / "model.safetensors", nn.Conv2d(1, 1, 1), spec, details={})
    with pytest.raises(ValueError, match="no network"):
        load_bundle(tmp_path / "model.safetensors")
    assert not trace.exists()
