"""Going up and joining the skip: the same as the plain operations, forward and back."""

import pytest
import torch
from torch import Tensor, nn

from unifocal.models.joining import raise_and_join

LAYOUTS = {2: torch.channels_last, 3: torch.channels_last_3d}
UP: dict[int, type[nn.ConvTranspose2d] | type[nn.ConvTranspose3d]] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


def gradients(joined: Tensor, up: nn.Module, x: Tensor, skip: Tensor, upstream: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(joined, [x, skip, *up.parameters()], upstream)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("is_last", [True, False])
def test_value_and_gradients_are_those_of_the_plain_operations(
    dimensions: int, is_last: bool, dtype: torch.dtype
) -> None:
    layout = LAYOUTS[dimensions] if is_last else torch.contiguous_format
    up = UP[dimensions](6, 4, kernel_size=2, stride=2).to(dtype).to(memory_format=layout)  # type: ignore[call-overload]
    x = torch.randn(2, 6, *[5] * dimensions, dtype=dtype).contiguous(memory_format=layout).requires_grad_()
    skip = torch.randn(2, 3, *[10] * dimensions, dtype=dtype).contiguous(memory_format=layout).requires_grad_()
    upstream = torch.randn(2, 7, *[10] * dimensions, dtype=dtype).contiguous(memory_format=layout)
    joined, plain = raise_and_join(up, x, skip), torch.cat([up(x), skip], dim=1)
    assert torch.equal(joined, plain)
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-4, torch.bfloat16: 0.1}[dtype]
    for own, expected in zip(
        gradients(joined, up, x, skip, upstream), gradients(plain, up, x, skip, upstream), strict=True
    ):
        torch.testing.assert_close(own, expected, rtol=tolerance, atol=tolerance)


def test_autocast_gives_gradients_in_the_dtype_of_the_weights() -> None:
    up = nn.ConvTranspose2d(6, 4, kernel_size=2, stride=2)
    x, skip = torch.randn(2, 6, 5, 5, requires_grad=True), torch.randn(2, 3, 10, 10)
    with torch.autocast("cpu", torch.bfloat16):
        joined = raise_and_join(up, x, skip.bfloat16())
        plain = torch.cat([up(x), skip.bfloat16()], dim=1)
    assert joined.dtype == plain.dtype == torch.bfloat16
    upstream = torch.randn_like(joined)
    own = torch.autograd.grad(joined, [*up.parameters()], upstream)
    expected = torch.autograd.grad(plain, [*up.parameters()], upstream)
    for one, other in zip(own, expected, strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one, other, rtol=0.05, atol=0.1)


def test_a_gradient_of_ones_goes_back_too() -> None:
    up = nn.ConvTranspose2d(6, 4, kernel_size=2, stride=2)
    x, skip = torch.randn(2, 6, 5, 5, requires_grad=True), torch.randn(2, 3, 10, 10, requires_grad=True)
    raise_and_join(up, x, skip).sum().backward()
    assert up.bias is not None
    assert up.bias.grad is not None
    torch.testing.assert_close(up.bias.grad, torch.full((4,), 200.0))
    assert skip.grad is not None
    assert torch.equal(skip.grad, torch.ones_like(skip))


@pytest.mark.parametrize("kind", ["forward", "before", "backward", "everywhere"])
def test_who_listens_to_the_transposed_convolution_hears_of_it(kind: str) -> None:
    up = nn.ConvTranspose2d(6, 4, kernel_size=2, stride=2)
    x, skip = torch.randn(2, 6, 5, 5, requires_grad=True), torch.randn(2, 3, 10, 10, requires_grad=True)
    heard: list[str] = []

    def listen(*_given: object) -> None:
        heard.append(kind)

    handle = {
        "forward": up.register_forward_hook,
        "before": up.register_forward_pre_hook,
        "backward": up.register_full_backward_hook,
        "everywhere": nn.modules.module.register_module_forward_hook,
    }[kind](listen)  # type: ignore[operator]
    raise_and_join(up, x, skip).sum().backward()
    handle.remove()
    assert heard == [kind]
    raise_and_join(up, x, skip).sum().backward()
    assert heard == [kind]
