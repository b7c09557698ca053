"""What can be set, with its meaning, default and limits."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from unifocal.config.sections import ComputeConfig, Section, TuningConfig
from unifocal.config.values import (
    all_different,
    no_auto,
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
Labels = Annotated[tuple[Annotated[int, Field(ge=1)], ...] | None, BeforeValidator(parse_numbers)]
RegionValues = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
Regions = Annotated[dict[str, RegionValues], Field(max_length=16), BeforeValidator(parse_regions)]


class DataConfig(Section):
    """Where images and masks are, and how they belong together.

    Attributes:
        folder: The data set; without it and `images`, the built-in phantom.
        layout: How its folders are laid out; `auto` recognises it.
        options: Of that layout, such as `channels` of brats20.
        images: The folder of images, where it has another name.
        masks: The folder of masks, likewise.
        pair_by: What image and mask have in common: the `stem` of the name, the stem and a `suffix`, the
            only `number` in it, or the sorted `order`.
        mask_suffix: What masks' names have at the end, with `suffix`.
        mask_threshold: Grey values from here on are foreground, for masks that JPEG blurred.
        labels: Those that count; all others become background. None: all.
        regions: Labels that overlap, by name: `whole=1+2+4`.
        cases: A table of the cases; None: `cases.csv` in the folder, where there is one.
        case_column: Its column that names the case; None: found.
        patient_column: Its column that names the patient; None: found.
        patient_pattern: A regular expression whose group finds the patient in the file's name.
        spacing_mm: Of pictures: rows x columns, or one number; scans bring their own.
        phantom_patients: Of the phantom.
        phantom_seed: Decides its anatomy.
    """

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
    """How an image becomes the network's input.

    Attributes:
        size: Rows and columns that images are resized to (None: 128x128), or the patch of volumes (None: of the median
            volume's shape, with at most 96^3 elements).
        intensity: How grey values are scaled, where no steps are listed.
        skull_strip: The way to set all but the brain to 0, where no steps are listed; empty: not at all.
        steps: All steps by name, in order, instead of the two above: see the preprocessing page.
    """

    size: Size | None = None
    intensity: Literal["z_score", "unit", "min_max", "percentile"] = "z_score"
    skull_strip: Annotated[Literal["", "source_a", "improved"], BeforeValidator(parse_skull_strip)] = ""
    steps: tuple[str | dict[str, Any], ...] | None = None


class CacheConfig(Section):
    """Where prepared cases are kept between runs, and how many.

    Attributes:
        folder: None: the user's cache folder, or UNIFOCAL_CACHE.
        limit: What it may take; prepared cases that were not used for longest are deleted first.
    """

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

    Attributes:
        name: `auto`: source A's U-Net for images, a 3D U-Net for volumes.
        arguments: Of a network from elsewhere.
        width: Channels of the first block; each deeper one has twice as many.
        depth: Poolings.
        normalization: After each convolution.
        dropout: A rate per block, the bottleneck last; the last one goes on. Empty: none.
        initialization: Of the convolutions' weights.
        deep_supervision: How many coarser outputs have a loss of their own.
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
    """One training run.

    Attributes:
        epochs: At most; of volumes 30.
        batch_size: Images or patches per step; of volumes 2.
        optimizer: The optimiser.
        learning_rate: Its first rate.
        weight_decay: Its weight decay.
        momentum: Of SGD.
        monitor: What of the validation part decides which weights are kept: each loss' own value, or Dice.
        schedule: `plateau` lowers the rate when validation stalls; `polynomial`, of volumes, lets it fall to 0.
        plateau_patience: Epochs without a better validation before the rate is lowered.
        plateau_factor: What it is multiplied by.
        stop_patience: Epochs without a better validation before training ends.
        augmentation: `standard`: source B's (scaling, rotation, mirroring, elastic deformation, brightness).
        patches_per_epoch: Of volumes; 0: one of each that is trained on, and at least 64.
        foreground_share: The share of patches that lie around foreground.
        precision: `auto`: bfloat16 where the device computes in it.
        threads: Per run; 0: one on a processor, so that scores do not depend on `jobs`.
        workers: Processes that read and augment ahead; None: none on a processor, up to 8 beside a GPU.
        on_device: Keep prepared cases in the device's memory and augment there.
        compile: Compile the network.
    """

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
    """How images are segmented; for windows over volumes see `unifocal.inference.windows.Windows`.

    Attributes:
        precision: Of the network.
        device: `auto` (or None): a CUDA GPU where there is one, else the processor. A GPU rounds otherwise, in
            convolutions to TF32, so that masks may differ at boundaries from those of a processor.
        overlap: The share of a window that it has in common with its neighbour.
        weights: How much each element of a window counts where windows overlap.
        mirror: Also segment mirrored windows, and average.
        batch_size: Windows per pass.
        memory: What the sums over windows may take; larger volumes go through in slabs, with the same result.
        postprocess: Let the validation part choose, per label, whether specks go or only the largest piece stays.
    """

    precision: Literal["float32", "bfloat16"] = "float32"
    # None is what earlier studies have that do not know of it, so that they go on.
    device: Annotated[Literal["auto", "cpu", "cuda"] | None, AfterValidator(no_auto)] = None
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


def with_out(values: Any, place: Callable[[str], Path]) -> Any:
    """The settings with a folder for the results, named after the data where none was given."""
    if not isinstance(values, dict) or values.get("out") is not None:
        return values
    data = values.get("data")
    named = (data.get("folder") or data.get("images")) if isinstance(data, dict) else None
    return values | {"out": place(Path(str(named)).resolve().name if named else "phantom")}


class ModelConfig(Section):
    """What `compare` and `train` share.

    Attributes:
        protocol: A paper's settings, which stand below all that is given.
        budget: `quick`: a smaller network for a few epochs.
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
    """`unifocal compare`: losses x folds x seeds on one data set.

    Attributes:
        losses: Names with parameters, or `package.module:Class`.
        seeds: Of weights, order, augmentation and dropout; each is a training of its own.
        metric: What the verdict rests on.
        label: The label it rests on; None: the rarest.
        margin: The largest difference that counts as none, in the metric's unit; None: 0.02 for ratios.
        resamples: Of the bootstrap.
        tuning: Trials of every loss inside every fold; None: no tuning.
        race: Let losses that are clearly worse leave after a fold.
        race_error: The share of races that may lose a loss without a difference.
        out: The study's folder; without it `studies/` and the name of the data.
        jobs: Runs at once; 0: one per core, or one on a GPU.
    """

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
        return with_out(values, lambda name: Path("studies") / name)


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
