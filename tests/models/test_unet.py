"""The network of protocol A, and its plain arguments."""

import json
from pathlib import Path

import pytest
import safetensors
import torch
from torch import nn

from unifocal.models import NetworkSpec, UNet, load_bundle, read_description, save_bundle
from unifocal.models.dropped_relu import DroppedReLU


def test_source_a_has_exactly_its_published_number_of_parameters() -> None:
    assert sum(weight.numel() for weight in UNet(3, 1).parameters()) == 1_941_105


def test_blocks_follow_the_source() -> None:
    network = UNet(3, 1)
    blocks = (*network.encoder, *network.decoder)
    rates = [[m.rate for m in block.modules() if isinstance(m, DroppedReLU)] for block in blocks]
    assert rates == [[0.1], [0.1], [0.2], [0.2], [0.3], [0.2], [0.2], [0.1], [0.1]]
    widths = [block[0].out_channels for block in network.encoder]  # type: ignore[index]
    assert widths == [16, 32, 64, 128, 256]
    assert not any(isinstance(m, nn.BatchNorm2d | nn.InstanceNorm2d | nn.GroupNorm) for m in network.modules())


def test_he_normal_weights_have_their_variance_and_biases_are_zero() -> None:
    torch.manual_seed(0)
    convolution = UNet(3, 1).encoder[4][0]  # type: ignore[index]
    assert convolution.weight.std().item() == pytest.approx((2 / (128 * 9)) ** 0.5, rel=0.01)
    assert convolution.weight.abs().max().item() <= 2 * (2 / (128 * 9)) ** 0.5 / 0.8796 + 1e-6
    assert not convolution.bias.any()


@pytest.mark.parametrize(("dimensions", "size"), [(2, (32, 48)), (2, (37, 50)), (3, (8, 16, 16)), (3, (9, 17, 10))])
@pytest.mark.parametrize("normalization", ["none", "batch", "instance", "group"])
def test_logits_have_the_size_of_the_image(dimensions: int, size: tuple[int, ...], normalization: str) -> None:
    network = UNet(2, 3, dimensions=dimensions, width=4, depth=3, normalization=normalization)  # type: ignore[arg-type]
    logits = network(torch.randn(2, 2, *size))
    assert logits.shape == (2, 3, *size)
    logits.square().mean().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in network.parameters())


def test_the_whole_image_reaches_the_middle() -> None:
    network = UNet(1, 1, width=16, depth=4, dropout=()).eval()
    image = torch.zeros(1, 1, 64, 64, requires_grad=True)
    # Several pixels: at a single one all of the last block's units may be silent.
    network(image + torch.randn(1, 1, 64, 64))[0, 0, 30:34, 30:34].sum().backward()
    assert image.grad is not None
    assert (image.grad != 0).float().mean() > 0.9


def test_dropout_is_silent_in_evaluation() -> None:
    network = UNet(1, 1, width=4, depth=2)
    image = torch.randn(1, 1, 16, 16)
    assert not torch.equal(network(image), network(image))
    network.eval()
    assert torch.equal(network(image), network(image))


@pytest.mark.parametrize(
    "arguments", [{"dimensions": 4}, {"width": 0}, {"depth": 0}, {"normalization": "layer"}, {"initialization": "x"}]
)
def test_bad_arguments_are_named(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        UNet(1, 1, **arguments)  # type: ignore[arg-type]


def test_a_bundle_rebuilds_the_network(tmp_path: Path) -> None:
    spec = NetworkSpec("unet", 3, 2, 2, {"width": 4, "depth": 2, "normalization": "instance"})
    network = spec.build().eval()
    save_bundle(tmp_path / "w.pt", network, spec, details={"labels": [1, 4]})
    again, read, details = load_bundle(tmp_path / "w.pt")
    image = torch.randn(1, 3, 20, 20)
    assert torch.equal(network(image), again(image))
    assert read == spec
    assert details == {"labels": [1, 4]}
    assert read_description(tmp_path / "w.pt")["network"]["name"] == "unet"
    assert [path.name for path in tmp_path.iterdir()] == ["w.pt"]


def test_networks_of_others_are_rebuilt_by_name(tmp_path: Path) -> None:
    spec = NetworkSpec("monai:BasicUNet", 1, 2, 2, {"features": [4, 4, 4, 4, 4, 4]})
    network = spec.build().eval()
    save_bundle(tmp_path / "w", network, spec, details={})
    again, _, _ = load_bundle(tmp_path / "w")
    image = torch.randn(1, 1, 32, 32)
    assert torch.equal(network(image), again(image))


def test_the_weights_are_plain_safetensors(tmp_path: Path) -> None:
    spec = NetworkSpec("unet", 1, 1, 2, {"width": 2, "depth": 1})
    network = spec.build()
    save_bundle(tmp_path / "w", network, spec, details={})
    with safetensors.safe_open(tmp_path / "w", framework="np") as file:
        assert set(file.keys()) == set(network.state_dict())
        assert json.loads(file.metadata()["description"])["network"]["out_channels"] == 1


@pytest.mark.parametrize("content", [b"", b"not a model", b"PK\x03\x04 truncated"])
def test_a_file_that_is_no_bundle_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.pt").write_bytes(content)
    with pytest.raises(ValueError, match="not a model written by unifocal"):
        load_bundle(tmp_path / "w.pt")


def test_a_bundle_whose_weights_do_not_fit_is_refused(tmp_path: Path) -> None:
    spec = NetworkSpec("unet", 3, 1, 2, {"width": 4})
    save_bundle(tmp_path / "w.pt", spec.build(), spec, weights=UNet(3, 1, width=8).state_dict(), details={})
    with pytest.raises(ValueError, match="do not fit"):
        load_bundle(tmp_path / "w.pt")


def test_a_bundle_never_runs_code(tmp_path: Path) -> None:
    torch.save(Trap(tmp_path / "sprung"), tmp_path / "w.pt")
    with pytest.raises(ValueError, match="not a model written by unifocal"):
        load_bundle(tmp_path / "w.pt")
    assert not (tmp_path / "sprung").exists()


class Trap:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)
