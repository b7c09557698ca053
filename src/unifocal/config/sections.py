"""What can be set of tuning, and of where runs are done."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from unifocal.config.values import parse_numbers, parse_searched


class Section(BaseModel):
    """A part of the configuration: unknown keys are refused, values never change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SearchedConfig(Section):
    """A setting that is searched: by its name, with a range of its own or that of the catalogue.

    Attributes:
        name: A parameter of the loss, or `learning_rate`, `epochs`, `width` or `augmentation`; `loss` for all of the
            loss's parameters.
        low: The lowest value; None: the catalogue's.
        high: The highest, likewise.
        step: Between values, for a grid; None: any value between.
        choices: All values, where they are no range.
    """

    name: str
    low: float | None = None
    high: float | None = None
    step: Annotated[float, Field(gt=0)] | None = None
    choices: tuple[Any, ...] = ()


Searched = Annotated[tuple[SearchedConfig, ...], BeforeValidator(parse_searched)]
Words = Annotated[tuple[str, ...], BeforeValidator(parse_numbers), Field(min_length=1)]


class TuningConfig(Section):
    """How settings are searched: as many trials for every loss with parameters, scored on inner folds over patients.

    Attributes:
        trials: Of each loss, the first with the settings as given.
        over: What is searched: parameters of the loss (`loss`: all of them), `learning_rate`, `epochs`, `width`,
            `augmentation`, with ranges as for `tune --over`.
        search: How the next trial is chosen.
        scheduler: `asha` stops trials of `tune` that lag behind, with Ray and several at once.
        objective: The metrics that trials are judged by.
        inner_folds: Folds over patients that each trial is judged on.
        seed: Decides the search.
    """

    trials: Annotated[int, Field(ge=1)] = 20
    over: Annotated[Searched, Field(min_length=1)] = (SearchedConfig(name="loss"),)
    search: Literal["optuna", "random", "grid"] = "optuna"
    scheduler: Literal["asha", "none"] = "asha"
    objective: Words = ("dice",)
    inner_folds: Annotated[int, Field(ge=2)] = 3
    seed: Annotated[int, Field(ge=0)] = 0


class ComputeConfig(Section):
    """Where runs are done, what happens when one dies, and who is told.

    Attributes:
        ray_address: `local` starts Ray on this machine, `auto` or `host:port` joins a cluster; None: without Ray.
        gpus_per_run: Share of a GPU for each run, with Ray.
        storage: Where runs are put when they are complete, for machines that do not share the study's folder: a
            folder or an address such as `s3://bucket/study`.
        attempts: How often a run whose process died is tried without an epoch more.
        loggers: `tensorboard`, `mlflow`: what epochs are also written to.
        profile: Whether a study notes where its time goes.
    """

    ray_address: str | None = None
    gpus_per_run: Annotated[float, Field(gt=0)] | None = None
    storage: str | None = None
    attempts: Annotated[int, Field(ge=1)] = 3
    loggers: Annotated[tuple[Literal["tensorboard", "mlflow"], ...], BeforeValidator(parse_numbers)] = ()
    profile: bool = False
