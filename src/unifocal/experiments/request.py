"""From the settings to the data that they mean."""

import json

from unifocal.config.schema import DataConfig
from unifocal.data.datasets import Request
from unifocal.experiments.mirror import Mirror, local_copy, mirror_of


def request_of(data: DataConfig) -> Request:
    """Which data the settings mean; what stands on object storage is copied to this machine first.

    Raises:
        InputError: If that cannot be read.
    """
    folder, images, masks = (path and local_copy(path) for path in (data.folder, data.images, data.masks))
    return Request(
        folder=folder, images=images, masks=masks, cases_table=data.cases, layout=data.layout,
        options=data.options, keep=data.labels, regions=data.regions, pair_by=data.pair_by,
        mask_suffix=data.mask_suffix, case_column=data.case_column, patient_column=data.patient_column,
        patient_pattern=data.patient_pattern, spacing_mm=data.spacing_mm, mask_threshold=data.mask_threshold,
    )  # fmt: skip


def mirrors_of(data: DataConfig) -> tuple[Mirror, ...]:
    """The copies of what the settings name on object storage; mostly none.

    Raises:
        InputError: If one cannot be read.
    """
    found = [mirror_of(path) for path in (data.folder, data.images, data.masks) if path is not None]
    return tuple(mirror for mirror in found if mirror is not None)


def arguments_for(data: DataConfig) -> tuple[str, ...]:
    """The arguments by which another verb gets the same data: `--data`, and a `--set` for all that is not default."""
    given = data.model_dump(mode="json", exclude_defaults=True, exclude={"folder"})
    start = ("--data", str(data.folder)) if data.folder else ()
    return (*start, *(word for key, value in given.items() for word in ("--set", f"data.{key}={json.dumps(value)}")))
