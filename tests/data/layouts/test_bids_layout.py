"""BIDS with derivatives."""

from pathlib import Path

import pytest
from layout_files import cases_of, kinds_of, opened, touch, write_bids

from unifocal.problems import InputError


def test_subjects_sessions_and_participants(tmp_path: Path) -> None:
    reading = opened(write_bids(tmp_path))
    cases = cases_of(reading)
    assert reading.problems == ()
    assert list(cases) == ["sub-01_ses-a_T1w", "sub-02_ses-a_T1w"]
    assert [case.patient for case in cases.values()] == ["sub-01", "sub-02"]
    assert cases["sub-01_ses-a_T1w"].attributes == {"site": "Paris", "age": "40", "session": "a"}
    assert cases["sub-02_ses-a_T1w"].attributes == {"site": "Rome", "age": "", "session": "a"}
    mask = cases["sub-02_ses-a_T1w"].mask
    assert mask is not None
    assert mask.path.name == "sub-02_ses-a_label-lesion_mask.nii.gz"
    assert reading.dataset.patients_known
    assert reading.dataset.declared.layout == "bids"


def test_several_sequences_are_channels(tmp_path: Path) -> None:
    write_bids(tmp_path)
    reading = opened(tmp_path, options={"suffix": "T1w,FLAIR"})
    assert [[path.name[-12:] for path in case.image.paths] for case in reading.dataset.cases] == [
        ["a_T1w.nii.gz", "FLAIR.nii.gz"]
    ] * 2
    (tmp_path / "sub-02/ses-a/anat/sub-02_ses-a_FLAIR.nii.gz").unlink()
    reading = opened(tmp_path, options={"suffix": "T1w,FLAIR"})
    assert kinds_of(reading.problems) == [("channel-missing", False)]
    assert len(reading.dataset.cases) == 1


def test_masks_beside_the_images_and_without_sessions(tmp_path: Path) -> None:
    touch(tmp_path, "sub-x/anat/sub-x_run-1_T1w.nii", "sub-x/anat/sub-x_run-2_T1w.nii")
    touch(tmp_path, "sub-x/anat/sub-x_run-1_dseg.nii", "sub-x/anat/sub-x_run-2_dseg.nii")
    cases = cases_of(opened(tmp_path))
    assert {name: case.mask and case.mask.path.name for name, case in cases.items()} == {
        "sub-x_run-1_T1w": "sub-x_run-1_dseg.nii",
        "sub-x_run-2_T1w": "sub-x_run-2_dseg.nii",
    }


def test_several_masks_must_be_told_apart(tmp_path: Path) -> None:
    write_bids(tmp_path)
    touch(tmp_path, "derivatives/fmriprep/sub-01/ses-a/anat/sub-01_ses-a_desc-brain_mask.nii.gz")
    reading = opened(tmp_path)
    assert kinds_of(reading.problems) == [("mask-ambiguous", False)]
    assert "desc-brain" in str(reading.problems[0])
    assert opened(tmp_path, options={"mask": "label-lesion"}).problems == ()
    assert opened(tmp_path, options={"derivative": "manual"}).problems == ()
    with pytest.raises(InputError, match="fmriprep, manual"):
        opened(tmp_path, options={"derivative": "none"})


def test_missing_masks_images_and_rows(tmp_path: Path) -> None:
    write_bids(tmp_path)
    (tmp_path / "derivatives/manual/sub-01/ses-a/anat/sub-01_ses-a_label-lesion_mask.nii.gz").unlink()
    (tmp_path / "participants.tsv").write_text("participant_id\tsite\nsub-01\tx\nsub-02\ty\nsub-09\tz\nsub-02\ty\n")
    reading = opened(tmp_path)
    assert kinds_of(reading.problems) == [("file-missing", True), ("mask-missing", False), ("table-line", False)]
    (tmp_path / "participants.tsv").write_bytes(b"\xff\xfe")
    assert ("table-broken", False) in kinds_of(opened(tmp_path).problems)
    with pytest.raises(InputError, match="it has FLAIR, T1w"):
        opened(tmp_path, options={"suffix": "T2w"})
