"""Where a network segments."""

import torch

from unifocal.problems import Problem

_MISSING = "is cuda, but PyTorch finds no CUDA GPU on this machine"


def choose_device(asked: str | None) -> torch.device:
    """The device that a network segments on.

    Args:
        asked: `cpu` or `cuda`; None: a CUDA GPU where this machine has one.

    Raises:
        ValueError: If CUDA is asked for where it is not there.
    """
    if _is_missing(asked):
        message = f"inference.device {_MISSING}"
        raise ValueError(message)
    return torch.device(asked or ("cuda" if torch.cuda.is_available() else "cpu"))


def device_problems(asked: str | None) -> list[Problem]:
    """What is wrong with the device that is asked for, on this machine."""
    remedy = "Leave it away, or say cpu; a GPU also needs a PyTorch that was built for it."
    return [Problem("inference.device", _MISSING, remedy)] if _is_missing(asked) else []


def _is_missing(asked: str | None) -> bool:
    return asked == "cuda" and not torch.cuda.is_available()
