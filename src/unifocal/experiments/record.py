"""What `study.yaml` and `cases.csv` say: everything resolved, and what makes a study that study."""

import hashlib
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import torch

from unifocal import __version__
from unifocal.config.protocols import read_protocol
from unifocal.config.schema import LossConfig, ModelConfig, StudyConfig
from unifocal.data.check import CheckedData
from unifocal.data.split_plan import unit_of
from unifocal.data.splits import Fold, split_hash
from unifocal.experiments.folder import installed_version
from unifocal.experiments.inputs import foreground_percent
from unifocal.experiments.pool import goes_to_ray
from unifocal.experiments.prepare import Prepared
from unifocal.experiments.segment import spec_of
from unifocal.losses import describe
from unifocal.models import UNet
from unifocal.training.settings import choose_precision

LIBRARIES = ("torch", "lightning", "batchgeneratorsv2", "numpy", "scipy", "scikit-image", "pandas", "pillow")


def describe_study(
    config: StudyConfig,
    checked: CheckedData,
    prepared: Prepared,
    folds: Sequence[Fold],
    identity: dict[str, Any],
    command: str,
) -> dict[str, Any]:
    """All of `study.yaml`, in its order."""
    # One thread whatever --jobs says: the number of threads changes the last bits of every sum.
    threads = config.training.threads or (_cores() if torch.cuda.is_available() else 1)
    spec = spec_of(prepared, config.network)
    network = spec.build()
    cases = checked.dataset.cases
    kinds = pd.Series([case.attributes.get("class", "") for case in cases]).value_counts().to_dict()
    return {
        "unifocal": __version__,
        "command": command,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version()} | {name: installed_version(name) for name in LIBRARIES},
        "machine": {
            "system": platform.platform(),
            "processor": platform.processor() or platform.machine(),
            "cores": _cores(),
            "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
            "threads_per_run": threads,
            "precision": choose_precision(config.training.precision),
        },
        "data": {
            "name": "built-in phantom" if config.data.is_phantom else _data_name(config),
            "layout": checked.dataset.declared.layout,
            "folder": str(config.data.folder or config.data.images or config.out),
            "axes": checked.facts[0].ndim,
            "cases": len(cases),
            "patients": len({case.patient for case in cases}),
            "patients_known": checked.dataset.patients_known,
            "labels": list(prepared.scored),
            "label_names": {int(label): name for label, name in prepared.label_names.items()},
            "regions": {} if prepared.regions is None else {k: list(v) for k, v in prepared.regions.values.items()},
            "channels": checked.channels,
            "spacing_known": all(case.spacing_mm is not None for case in cases),
            "foreground_percent": foreground_percent(checked),
            "black_and_white": checked.coding.is_black_and_white,
            "mask_threshold": checked.coding.threshold,
            "kept_values": None if checked.coding.keep is None else list(checked.coding.keep),
            "classes": {} if set(kinds) == {""} else kinds,
            "hash": checked.content_hash,
        },
        "config": config.model_dump(mode="json")
        | {
            "network": {"name": spec.name, "size": list(prepared.grid.size)}
            | (network.arguments if isinstance(network, UNet) else asdict(spec))
            | {"parameters": sum(weight.numel() for weight in network.parameters())}
        },
        "preprocessing": {"steps": prepared.pipeline.declaration, "hash": prepared.pipeline.identity},
        "losses": [_describe_loss(loss) for loss in config.losses],
        "protocol": None if config.protocol is None else read_protocol(config.protocol).about(),
        "split": {
            "kind": config.split.kind,
            "by": config.split.by,
            "repeats": config.split.repeats,
            "group": config.split.group if config.split.kind == "leave_one_group_out" else "",
            "hash": split_hash(folds),
            "folds": [fold.as_dict() for fold in folds],
        },
        "identity": identity,
    }


def identity_of(config: StudyConfig, checked: CheckedData, folds: Sequence[Fold]) -> dict[str, Any]:
    """What must agree for a command to continue a study: settings, data and split; not paths, nor where runs are done.

    Of tuning and a race only where they are asked for, so that studies from before them can be continued. A key that
    is always there, and was not before, belongs into `folder.LATER_KEYS`.
    """
    asked = config.model_dump(mode="json", include={"preprocessing", "network", "losses", "seeds"})
    asked["training"] = config.training.deciding()
    # How much memory the windows may take changes nothing that they find, and where they are is where runs are done.
    asked["inference"] = config.inference.model_dump(mode="json", exclude={"memory", "device"})
    asked["losses"] = ", ".join(loss.label for loss in config.losses)
    asked["labels"] = list(checked.labels)
    if config.tuning is not None:
        # No trial of nested tuning is stopped early, whatever the scheduler.
        asked["tuning"] = config.tuning.model_dump(mode="json", exclude={"scheduler"})
        asked["label"] = config.label
    if config.race:
        asked |= {"race": True, "race_error": config.race_error, "metric": config.metric, "label": config.label}
    spacings = {case.spacing_mm for case in checked.dataset.cases}
    asked["spacing_mm"] = ", ".join(
        sorted("unknown" if s is None else "x".join(f"{step:g}" for step in s) for s in spacings)
    )
    asked["mask_coding"] = asdict(checked.coding)
    group = config.split.group if config.split.kind == "leave_one_group_out" else ""
    return asked | data_identity(checked, group) | {"split_hash": split_hash(folds)}


def data_identity(checked: CheckedData, group: str = "") -> dict[str, Any]:
    """Of an identity, what the data are: their files' content, whose each case is, and what their labels make up.

    Args:
        checked: The data.
        group: The attribute that the split goes by; empty: none.
    """
    cases = checked.dataset.cases
    whose = [(case.name, case.patient, case.attributes.get(group, "") if group else "") for case in cases]
    regions = checked.dataset.declared.regions
    return {
        "data_hash": checked.content_hash,
        "cases_hash": hashlib.sha256(json.dumps(whose).encode()).hexdigest(),
        # In order, by which they are numbered.
        "regions": ", ".join(f"{name}={'+'.join(map(str, v))}" for name, v in regions.items()) or "none",
    }


def cases_table(checked: CheckedData, folds: Sequence[Fold], by: str) -> pd.DataFrame:
    """All of `cases.csv`: each case with the fold that tests it, or the folds where there are repeats."""
    tested: dict[str, list[str]] = {}
    for number, fold in enumerate(folds):
        for unit in fold.test:
            tested.setdefault(unit, []).append(str(number))
    rows = []
    for case, fact in zip(checked.dataset.cases, checked.facts, strict=True):
        sizes = zip(("width", "height", "slices"), reversed(fact.size), strict=False)
        axes = ("spacing_column_mm", "spacing_row_mm", "spacing_slice_mm")[: fact.ndim]
        spacing = reversed(case.spacing_mm) if case.spacing_mm else [None] * fact.ndim
        known: dict[str, Any] = {
            "case": case.name,
            "patient": case.patient,
            "fold": " ".join(tested.get(unit_of(case, by), [])),
            "image": case.image.as_text(),
            "mask": case.mask.as_text() if case.mask else "",
            **dict(reversed(list(sizes))),
            "foreground_percent": round(100 * fact.foreground_share, 4),
            **dict(reversed(list(zip(axes, spacing, strict=True)))),
        }
        rows.append(known | {key: value for key, value in case.attributes.items() if key not in known})
    return pd.DataFrame(rows)


def bundle_details(config: ModelConfig, prepared: Prepared, loss: str) -> dict[str, Any]:
    """What a weights file tells: how its input is prepared, what its output means, how it was trained."""
    return {
        "unifocal": __version__,
        "loss": loss,
        "labels": list(prepared.labels),
        "regions": {} if prepared.regions is None else {k: list(v) for k, v in prepared.regions.values.items()},
        "label_names": {str(label): name for label, name in prepared.label_names.items()},
        "grid": asdict(prepared.grid),
        "inference": config.inference.model_dump(mode="json"),
        "black_and_white": prepared.coding.is_black_and_white,
        "pipeline": prepared.pipeline.declaration,
        "training": config.training.model_dump(mode="json"),
    }


def _describe_loss(loss: LossConfig) -> dict[str, Any]:
    known = loss.model_dump(mode="json") | {"label": loss.label}
    if ":" in loss.name:
        return known
    member = describe(loss.name)
    citation = f"{member.paper.citation}. doi:{member.paper.doi}"
    return known | {"title": member.title, "formula": member.formula, "citation": citation}


def jobs_of(config: StudyConfig, runs: int) -> int:
    """How many of the runs at once: as asked, else one per core, or one on a GPU; 0: as many as Ray has room for."""
    if goes_to_ray(config.compute):
        return min(config.jobs, runs)
    return max(1, min(config.jobs or (1 if torch.cuda.is_available() else _cores()), runs))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _data_name(config: StudyConfig) -> str:
    folder = config.data.folder or config.data.images
    return folder.resolve().name if folder else ""
