"""Small data sets in the documented layouts. Layouts go by names, so that most files may be empty."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from unifocal.data.case import Case, Reading
from unifocal.data.datasets import Request, open_dataset
from unifocal.problems import Problem


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def write_json(folder: Path, content: object, name: str = "dataset.json") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(content), encoding="utf-8")


def opened(folder: Path, *, with_masks: bool = True, **request: Any) -> Reading:
    return open_dataset(Request(folder=folder, **request), with_masks=with_masks)


def cases_of(reading: Reading) -> Mapping[str, Case]:
    cases = {case.name: case for case in reading.dataset.cases}
    assert len(cases) == len(reading.dataset.cases)
    return cases


def kinds_of(problems: Iterable[Problem]) -> list[tuple[str, bool]]:
    return sorted((problem.kind, problem.is_warning) for problem in problems)


NNUNET_2 = {
    "channel_names": {"0": "T1", "1": "FLAIR"},
    "labels": {"background": 0, "oedema": 1, "tumour": 2},
    "numTraining": 2,
    "file_ending": ".nii.gz",
}


def write_nnunet(folder: Path, content: object = NNUNET_2, ending: str = ".nii.gz", channels: int = 2) -> Path:
    for case in ("a_1", "b_2"):
        touch(folder, f"labelsTr/{case}{ending}")
        touch(folder, *(f"imagesTr/{case}_{number:04}{ending}" for number in range(channels)))
    write_json(folder, content)
    return folder


def decathlon_json(cases: Iterable[str], **more: Any) -> dict[str, Any]:
    training = [{"image": f"./imagesTr/{case}.nii.gz", "label": f"./labelsTr/{case}.nii.gz"} for case in cases]
    return {
        "modality": {"0": "MRI"},
        "labels": {"0": "background", "1": "Anterior", "2": "Posterior"},
        "numTraining": len(training),
        "training": training,
        **more,
    }


def write_decathlon(folder: Path, **more: Any) -> Path:
    cases = ("hippo_1", "hippo_2", "hippo_10")
    touch(folder, *(f"{kind}/{case}.nii.gz" for kind in ("imagesTr", "labelsTr") for case in cases))
    write_json(folder, decathlon_json(cases, **more))
    return folder


def write_bids(folder: Path) -> Path:
    for subject in ("01", "02"):
        stem = f"sub-{subject}_ses-a"
        touch(folder, f"sub-{subject}/ses-a/anat/{stem}_T1w.nii.gz", f"sub-{subject}/ses-a/anat/{stem}_FLAIR.nii.gz")
        touch(folder, f"sub-{subject}/ses-a/anat/{stem}_T1w.json")
        touch(folder, f"derivatives/manual/sub-{subject}/ses-a/anat/{stem}_label-lesion_mask.nii.gz")
    (folder / "participants.tsv").write_text("participant_id\tsite\tage\nsub-01\tParis\t40\n02\tRome\tn/a\n")
    return folder
