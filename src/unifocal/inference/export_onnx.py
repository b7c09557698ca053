"""A trained network as ONNX, checked against PyTorch before it is kept."""

import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

TOLERANCE = 1e-4
"""The largest difference of logits, as a share of the largest logit, that counts as the same."""


class ExportError(ValueError):
    """The exported network does not do what the original does."""


def export_onnx(
    path: Path, network: nn.Module, shape: Sequence[int], *, description: Mapping[str, Any], opset: int = 18
) -> float:
    """Write a network as ONNX; the file appears only if ONNX Runtime gives PyTorch's logits.

    Args:
        path: The file to write.
        network: Maps (N, channels, *size) to logits.
        shape: (channels, *size): the network takes batches of any number of such inputs, and no other size.
        description: Kept in the file's metadata as JSON: preprocessing, labels.
        opset: Version of ONNX's operators.

    Returns:
        The largest difference of logits on random input, as a share of the largest logit.

    Raises:
        ExportError: If that is above `TOLERANCE`, or ONNX cannot say what the network does.
        ModuleNotFoundError: If onnx, onnxscript or onnxruntime is not installed.
    """
    import onnx
    import onnxruntime

    network = network.float().cpu().eval()
    generator = torch.Generator().manual_seed(0)
    example = torch.randn(2, *shape, generator=generator)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                network,
                (example,),
                input_names=["image"],
                output_names=["logits"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                opset_version=opset,
                dynamo=True,
                verbose=False,
            )
    except Exception as error:
        message = f"the network cannot be said in ONNX: {type(error).__name__}: {str(error).splitlines()[0]}"
        raise ExportError(message) from error
    assert program is not None
    model = program.model_proto
    onnx.helper.set_model_props(model, {"unifocal": json.dumps(dict(description))})
    onnx.checker.check_model(model)
    content = model.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    worst = 0.0
    for batch in (1, 3):
        image = torch.randn(batch, *shape, generator=generator)
        with torch.inference_mode():
            expected = network(image).numpy()
        (found,) = session.run(None, {"image": image.numpy()})
        worst = max(worst, float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-12)))
    if not worst <= TOLERANCE:
        message = f"ONNX Runtime's logits differ from PyTorch's by {worst:.2g} of the largest"
        raise ExportError(message)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    partial.replace(path)
    return worst
