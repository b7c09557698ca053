"""unifocal: which loss function to train with, on your own data, and how sure you can be."""

from typing import Any

__version__ = "0.1.0"
__all__ = ["__version__", "evaluate"]


def __getattr__(name: str) -> Any:
    """`unifocal.evaluate`, loaded when it is asked for: the losses need PyTorch alone."""
    if name == "evaluate":
        from importlib import import_module

        return import_module("unifocal.experiments.arrays").evaluate
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
