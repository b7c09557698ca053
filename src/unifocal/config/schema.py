"""What can be set, with its meaning, default and limits."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from unifocal.config.sections import ComputeConfig, Section, TuningConfig
from unifocal.config.values import (
    all_different,
    parse_folders,
    parse_losses,
    parse_memory,
    parse_numbers,
    parse_one_loss,
    parse_regions,
    parse_size,
    parse_skull_strip,
    parse_spacing,
)

Share = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[int, Field(ge=1)]
Size = Annotated[
    tuple[Annotated[int, Field(ge=8)], ...], BeforeValidator(parse_size), Field(min_length=2, max_length=3)
]
Spacing = Annotated[tuple[float, ...] | None, BeforeValidator(parse_spacing)]
Seeds = Annotated[
    tuple[Annotated[int, Field(ge=0)], ...],
    BeforeValidator(parse_numbers),
    AfterValidator(all_different),
    Field(min_length=1),
]

Margin = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Resamples = Annotated[int, Field(ge=100)]
Folders = Annotated[dict[str, Path], BeforeValidator(parse_folders)]
Labels = Annotated[tuple[Annotated[int, Field(ge=1)], ...] | None, BeforeValidator(parse_numbers)]
Regions = Annotated[dict[str, tuple[Annotated[int, Field(ge=1)], ...]], BeforeValidator(parse_regions)]


class DataConfig(Section):
    """Where images and masks are, and how they belong together."""

    folder: Path | None = None
    layout: str = "auto"
    options: dict[str, Any] = Field(default_factory=dict)
    images: Path | None = None
    masks: Path | None = None
    pair_by: Literal["stem", "suffix", "number", "order"] = "stem"
    mask_suffix: str = "_mask"
    mask_threshold: int | None = None
    labels: Labels = None
    regions: Regions = Field(default_factory=dict)
    cases: Path | None = None
    case_column: str | None = None
    patient_column: str | None = None
    patient_pattern: str | None = None
    spacing_mm: Spacing = None
    phantom_patients: Positive = 24
    phantom_seed: Annotated[int, Field(ge=0)] = 0

    @property
    def is_phantom(self) -> bool:
        """Whether no data were named, so that the built-in phantom is meant."""
        return self.folder is None and self.images is None


class PreprocessingConfig(Section):
    """How an image becomes the network's input."""

    size: Size | None = None
    intensity: Literal["z_score", "unit", "min_max", "percentile"] = "z_score"
    skull_strip: Annotated[Literal["", "source_a", "improved"], BeforeValidator(parse_skull_strip)] = ""
    steps: tuple[str | dict[str, Any], ...] | None = None


class CacheConfig(Section):
    """Where prepared cases are kept between runs, and how many."""

    folder: Path | None = None
    limit: Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, int | float) else value)] = (
        "20 GB"
    )


class SplitConfig(Section):
    """How patients are dealt to folds: see `unifocal.data.split_plan.SplitPlan`."""

    kind: Literal["k_fold", "leave_one_group_out", "official", "file"] = "k_fold"
    by: Literal["patient", "image"] = "patient"
    folds: Annotated[int, Field(ge=2)] = 5
    repeats: Positive = 1
    group: str = "site"
    file: Path | None = None
    validation_share: Share = 0.2
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="before")
    @classmethod
    def _name_a_file(cls, values: Any) -> Any:
        """`kind` may be written as the path of a split file."""
        kind = values.get("kind") if isinstance(values, dict) else None
        if isinstance(kind, str) and Path(kind).suffix.lower() in {".csv", ".json"}:
            values = values | {"kind": "file", "file": Path(kind)}
        if isinstance(values, dict) and values.get("kind", "k_fold") != "k_fold" and {"folds", "repeats"} & set(values):
            message = f"folds and repeats are for k_fold; with {values['kind']} leave --folds and --repeats away"
            raise ValueError(message)
        return values


class NetworkConfig(Section):
    """The network: a name of `unifocal.models.PRESETS`, `monai:NAME` or `package.module:NAME`; see `network_spec`.

    What is not given of a U-Net is its preset's.
    """

    name: str = "auto"
    arguments: dict[str, Any] = Field(default_factory=dict)
    width: Positive | None = None
    depth: Positive | None = None
    normalization: Literal["none", "batch", "instance", "group"] | None = None
    dropout: Annotated[tuple[Annotated[float, Field(ge=0, lt=1)], ...], BeforeValidator(parse_numbers)] | None = None
    initialization: Literal["he", "xavier"] | None = None
    deep_supervision: Annotated[int, Field(ge=0)] = 0


class TrainingConfig(Section):
    """One training run."""

    epochs: Positive = 60
    batch_size: Positive = 8
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    monitor: Literal["loss", "dice"] = "loss"
    schedule: Literal["plateau", "polynomial"] = "plateau"
    plateau_patience: Positive = 10
    plateau_factor: Share = 0.1
    stop_patience: Positive = 20
    augmentation: Literal["none", "standard"] = "standard"
    patches_per_epoch: Annotated[int, Field(ge=0)] = 0
    foreground_share: Annotated[float, Field(ge=0, le=1)] = 1 / 3
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    threads: Annotated[int, Field(ge=0)] = 0
    workers: Annotated[int, Field(ge=0)] | None = None
    on_device: bool = False
    compile: bool = False

    def deciding(self) -> dict[str, Any]:
        """What decides a training's numbers; what came later only where it is on, so that earlier studies go on."""
        plain = self.model_dump(mode="json", exclude={"workers"})
        return {name: value for name, value in plain.items() if value or name not in {"on_device", "compile"}}


class InferenceConfig(Section):
    """How images are segmented; for windows over volumes see `unifocal.inference.windows.Windows`."""

    precision: Literal["float32", "bfloat16"] = "float32"
    overlap: Annotated[float, Field(ge=0, lt=1)] = 0.5
    weights: Literal["gaussian", "constant"] = "gaussian"
    mirror: bool = False
    batch_size: Positive = 1
    memory: Annotated[str, BeforeValidator(parse_memory)] = "4 GB"
    postprocess: bool = False


class LossConfig(Section):
    """A loss by name (or `package.module:ClassName`) with its parameters."""

    name: str
    parameters: dict[str, Any] = Field(default_factory=dict)

    @property
    def label(self) -> str:
        """What the loss is called in tables, figures and folder names."""
        inside = ", ".join(f"{key}={value}" for key, value in self.parameters.items())
        return f"{self.name}({inside})" if inside else self.name


Losses = Annotated[tuple[LossConfig, ...], BeforeValidator(parse_losses), Field(min_length=1)]


def _with_out(values: Any, place: Callable[[str], Path]) -> Any:
    if not isinstance(values, dict) or values.get("out") is not None:
        return values
    data = values.get("data")
    named = (data.get("folder") or data.get("images")) if isinstance(data, dict) else None
    return values | {"out": place(Path(str(named)).resolve().name if named else "phantom")}


class ModelConfig(Section):
    """What `compare` and `train` share.

    A protocol's settings stand below all that is given; see `unifocal.config.protocols`.
    """

    protocol: str | None = None
    budget: Literal["full", "quick"] = "full"
    data: DataConfig = DataConfig()
    preprocessing: PreprocessingConfig = PreprocessingConfig()
    cache: CacheConfig = CacheConfig()
    network: NetworkConfig = NetworkConfig()
    training: TrainingConfig = TrainingConfig()
    inference: InferenceConfig = InferenceConfig()
    compute: ComputeConfig = ComputeConfig()


class StudyConfig(ModelConfig):
    """`unifocal compare`: losses x folds x seeds on one data set."""

    losses: Losses = (
        LossConfig(name="bce"),
        LossConfig(name="focal"),
        LossConfig(name="dice_cross_entropy"),
        LossConfig(name="unified_focal"),
    )
    split: SplitConfig = SplitConfig()
    seeds: Seeds = (0,)
    metric: str = "dice"
    label: int | None = None
    margin: Margin | None = None
    resamples: Resamples = 10_000
    tuning: TuningConfig | None = None
    race: bool = False
    race_error: Share = 0.05
    out: Path
    jobs: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="before")
    @classmethod
    def _name_the_folder(cls, values: Any) -> Any:
        """Without `out`, the study goes to `studies/` under the name of the data. A file for `train` has one `loss`."""
        if isinstance(values, dict) and "loss" in values:
            values = {"losses": values["loss"]} | {key: value for key, value in values.items() if key != "loss"}
        return _with_out(values, lambda name: Path("studies") / name)


class TrainConfig(ModelConfig):
    """`unifocal train`: one training run on all patients but a validation part."""

    loss: Annotated[LossConfig, BeforeValidator(parse_one_loss)] = LossConfig(name="unified_focal")
    validation_share: Share = 0.2
    seed: Annotated[int, Field(ge=0)] = 0
    out: Path


class TuneConfig(ModelConfig):
    """`unifocal tune`: the best settings for one loss, by the mean over inner folds.

    With `test_fold`, the patients that this fold of `split` tests take no part.
    """

    loss: Annotated[LossConfig, BeforeValidator(parse_one_loss)] = LossConfig(name="unified_focal")
    tuning: TuningConfig = TuningConfig()
    split: SplitConfig = SplitConfig()
    test_fold: Annotated[int, Field(ge=0)] | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    out: Path
    jobs: Annotated[int, Field(ge=0)] = 0


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
        return _with_out(values, lambda name: Path(f"profile-{name}"))


class LossesConfig(Section):
    """`unifocal losses`: what the family holds."""

    name: str | None = None
