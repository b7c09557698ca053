"""`export`: a trained network for other programs."""

from unifocal.config.schema import ExportConfig
from unifocal.experiments.new_images import load_model
from unifocal.inference.export_onnx import ExportError, export_onnx
from unifocal.problems import InputError, Problem, WorkFailedError


class ExportFailedError(WorkFailedError):
    """The network cannot be exported."""


def export_model(config: ExportConfig) -> float:
    """Write a model as ONNX.

    Returns:
        The largest difference of logits from PyTorch's, as a share of the largest logit.

    Raises:
        InputError: If the model cannot be read, the file's name does not end in `.onnx`, or packages are missing.
        ExportFailedError: If the network cannot be said in ONNX, or does something else there.
    """
    problems: list[Problem] = []
    if config.out.suffix.lower() != ".onnx":
        problems.append(Problem(f"--out {config.out}", "does not end in .onnx", "Give a name such as model.onnx."))
    loaded = load_model(config.model, problems)
    if problems or loaded is None:
        raise InputError(problems)
    network, details = loaded
    shape = (int(details["pipeline"][0]["channels"]["count"]), *details["grid"]["size"])
    config.out.parent.mkdir(parents=True, exist_ok=True)
    try:
        return export_onnx(config.out, network, shape, description=details)
    except ModuleNotFoundError as error:
        remedy = "Install it with: pip install 'unifocal[onnx]'."
        raise InputError([Problem("ONNX", f"needs the package {error.name}", remedy)]) from error
    except ExportError as error:
        raise ExportFailedError(str(error)) from error
