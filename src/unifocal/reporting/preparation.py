"""The steps of preprocessing in words, from what the study recorded."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from unifocal.reporting.study import StudyView

Parameters = Mapping[str, Any]

_STRIPPED = {
    "source_a": "Everything outside the largest bright region (Gaussian blur, Otsu's threshold) was set to 0.",
    "improved": "Skull and scalp were removed: everything outside the brain, as the shape of the head and the dark "
    "layers around it tell, was set to 0.",
}
_INSIDE = {
    "image": "",
    "nonzero": " over the elements that are not 0",
    "field_of_view": " over the field of view",
    "mask": " over the mask",
}


def _by(numbers: Sequence[Any], unit: str = "") -> str:
    return " × ".join(f"{number:g}" for number in numbers) + unit


def _resized(step: Parameters) -> str:
    axes = "rows × columns" if len(step["size"]) == 2 else "slices × rows × columns"
    unit = "pixels" if len(step["size"]) == 2 else "voxels"
    return f"Images were resized to {_by(step['size'])} {unit} ({axes})."


def _padded(step: Parameters) -> str:
    parts = [f"at least {_by(step['size'])} elements"] if step.get("size") else []
    parts += [f"multiples of {step['multiple']} along each axis"] if step.get("multiple", 1) > 1 else []
    return f"Images were padded about their middle to {' and '.join(parts)}."


def _windowed(step: Parameters) -> str:
    scaled = " and scaled to the range 0 to 1" if step.get("scale") else ""
    return f"Values were clipped to [{step['low']:g}, {step['high']:g}] Hounsfield units{scaled}."


_WORDS: Mapping[str, Callable[[Parameters], str]] = {
    "channels": lambda _: "",
    "skull_strip": lambda step: _STRIPPED.get(str(step.get("method")), ""),
    "field_of_view": lambda _: "Everything outside the field of view was set to 0.",
    "bias_correction": lambda _: "The bias field was corrected (N4).",
    "window": _windowed,
    "orient": lambda _: "Volumes were turned and mirrored so that their axes run alike.",
    "resample": lambda step: f"Images were resampled to a spacing of {_by(step['spacing_mm'], ' mm')}.",
    "crop_foreground": lambda step: (
        "Images were cropped to what is not 0"
        + (f" and {step['margin']} elements around it." if step.get("margin") else ".")
    ),
    "resize": _resized,
    "pad": _padded,
    "z_score": lambda step: (
        f"Grey values were standardised per image (mean 0, standard deviation 1"
        f"{_INSIDE.get(str(step.get('inside')), '')})."
    ),
    "min_max": lambda step: (
        f"Grey values were scaled from their smallest and largest"
        f"{_INSIDE.get(str(step.get('inside')), '')} to the range 0 to 1."
    ),
    "percentile": lambda step: (
        f"Grey values were clipped to their {step['low']:g}th and {step['high']:g}th percentiles"
        f"{_INSIDE.get(str(step.get('inside')), '')} and scaled to the range 0 to 1."
    ),
    "unit": lambda _: "Grey values were divided by the largest value of their bit depth (range 0 to 1).",
}


def _in_words(step: Any) -> str:
    try:
        ((name, parameters),) = step.items()
        return _WORDS[name](parameters)
    except (AttributeError, KeyError, TypeError, ValueError):
        return ""


def preparation(study: StudyView) -> str:
    """What was done to every image, step by step; empty where the study does not say."""
    steps = study.setting("preprocessing", "steps")
    if not isinstance(steps, Sequence):
        return ""
    said = [_in_words(step) for step in steps]
    fingerprint = study.setting("preprocessing", "hash")
    ends = ["Predictions were brought back to each image's own grid and scored there."]
    if study.setting("config", "inference", "postprocess"):
        ends += ["Masks were cleaned (largest component, smallest size, holes) as suited the validation cases best."]
    ends += [f"Fingerprint of the steps: {str(fingerprint)[:16]}."] if fingerprint else []
    return " ".join(sentence for sentence in (*said, *ends) if sentence)
