"""What the verbs besides compare, train and tune can be given."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from unifocal.config.schema import (
    CacheConfig,
    DataConfig,
    InferenceConfig,
    Labels,
    Margin,
    Positive,
    Resamples,
    Spacing,
    with_out,
)
from unifocal.config.sections import Section
from unifocal.config.values import parse_folders, parse_size

Folders = Annotated[dict[str, Path], BeforeValidator(parse_folders)]


class StatusConfig(Section):
    """`unifocal status`: how far a study is."""

    study: Path


class PredictConfig(Section):
    """`unifocal predict`: masks and overlays for new images; what is not given of `inference` is the model's."""

    model: Path
    images: Path
    out: Path
    spacing_mm: Spacing = None
    overlays: bool = True
    probabilities: bool = False
    batch_size: Positive = 8
    inference: InferenceConfig = InferenceConfig()
    cache: CacheConfig = CacheConfig()


class ExportConfig(Section):
    """`unifocal export`: a trained network as ONNX or as a MONAI bundle; without `format`, the name says which."""

    model: Path
    out: Path
    format: Literal["onnx", "monai"] | None = None


class EvaluateConfig(Section):
    """`unifocal evaluate`: masks against masks."""

    truth: Path
    predictions: Annotated[Folders, Field(min_length=1)]
    probabilities: Folders = Field(default_factory=dict)
    images: Path | None = None
    out: Path
    allow_missing: bool = False
    pair_by: Literal["stem", "number", "order"] = "stem"
    cases: Path | None = None
    case_column: str | None = None
    patient_column: str | None = None
    patient_pattern: str | None = None
    spacing_mm: Spacing = None
    mask_threshold: int | None = None
    labels: Labels = None
    tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 2.0
    metric: str = "dice"
    label: int | None = None
    margin: Margin | None = None
    resamples: Resamples = 10_000
    workers: Annotated[int, Field(ge=0)] = 0


class ReportConfig(Section):
    """`unifocal report`: the tables, figures and page of a study or an evaluation, built again from its scores."""

    study: Path
    metric: str | None = None
    label: int | None = None
    margin: Margin | None = None
    resamples: Resamples | None = None


class PhantomConfig(Section):
    """`unifocal data phantom`: the built-in data set, written as files."""

    out: Path
    patients: Positive = 24
    seed: Annotated[int, Field(ge=0)] = 0
    size: Annotated[int, Field(ge=32)] = 128


class CheckConfig(Section):
    """`unifocal data check`: every problem of a data set."""

    data: DataConfig = DataConfig()
    split: Path | None = None
    fix: Path | None = None
    workers: Annotated[int, Field(ge=0)] = 0


class ProfileConfig(Section):
    """`unifocal data profile`: what a data set holds, and what follows for the losses."""

    data: DataConfig = DataConfig()
    size: Annotated[tuple[Annotated[int, Field(ge=8)], ...] | None, BeforeValidator(parse_size)] = None
    out: Path
    brain: bool = False
    workers: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="before")
    @classmethod
    def _name_the_folder(cls, values: Any) -> Any:
        """Without `out`, the profile goes beside, under the name of the data."""
        return with_out(values, lambda name: Path(f"profile-{name}"))


class LossesConfig(Section):
    """`unifocal losses`: what the family holds."""

    name: str | None = None
