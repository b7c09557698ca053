"""Which files are ours, several files as one array, digests, and limits."""

import hashlib
import os
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from formats_dicom import write, write_series
from PIL import Image

from unifocal.data.case import Source
from unifocal.data.read import EXTENSIONS, UnreadableError, digest, is_readable, kind_of, read_image, read_mask, stem_of
from unifocal.problems import InputError

Array = np.ndarray[Any, Any]


def nifti(path: Path, array: Array, affine: Array | None = None) -> Path:
    nib.save(nib.Nifti1Image(array, np.eye(4) if affine is None else affine), path)
    return path


def grey(seed: int, shape: tuple[int, ...] = (3, 4, 5)) -> Array:
    return np.random.default_rng(seed).integers(0, 200, shape).astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "kind", "stem"),
    [
        ("a.png", "picture", "a"), ("a.b.TIFF", "picture", "a.b"), ("a_0000.nii.gz", "nifti", "a_0000"),
        ("A.NII.GZ", "nifti", "A"), ("a.nii", "nifti", "a"), ("a.hdr", "nifti", "a"), ("a.img", None, "a.img"),
        ("a.seg.nrrd", "itk", "a.seg"), ("a.mhd", "itk", "a"), ("a.raw", None, "a.raw"), ("a.dcm", "dicom", "a"),
        ("1.2.840.1", None, "1.2.840.1"), ("1.mat", "matlab", "1"), ("a.gz", None, "a.gz"), ("README", None, "README"),
    ],
)  # fmt: skip
def test_names(tmp_path: Path, name: str, kind: str | None, stem: str) -> None:
    (tmp_path / name).write_bytes(b"something")
    assert (kind_of(tmp_path / name), stem_of(tmp_path / name)) == (kind, stem)
    assert is_readable(tmp_path / name) == (kind is not None)
    assert kind_of(Path("absent") / name) == kind


def test_dicom_is_known_by_its_mark_and_nothing_waits_for_a_pipe(tmp_path: Path) -> None:
    for name in ("IM0001", "1.2.840.7", "DICOMDIR"):
        write(tmp_path / name, grey(0)[0])
        assert is_readable(tmp_path / name) == (name != "DICOMDIR")
    os.mkfifo(tmp_path / "pipe")
    assert not is_readable(tmp_path / "pipe")
    assert not is_readable(tmp_path)
    assert all(is_readable(Path(f"x{extension}")) for extension in EXTENSIONS)


def test_channels_come_one_after_the_other(tmp_path: Path) -> None:
    paths = [nifti(tmp_path / f"{seed}.nii.gz", grey(seed)) for seed in range(4)]
    scan = read_image(Source.of(*paths))
    np.testing.assert_array_equal(scan.array, np.stack([grey(seed).T for seed in range(4)]))
    assert scan.spacing_mm == (1, 1, 1)
    assert scan.notes == ()


def test_channels_that_lie_elsewhere_are_told(tmp_path: Path) -> None:
    moved = np.eye(4)
    moved[0, 3] = 0.2
    paths = [nifti(tmp_path / "a.nii", grey(0)), nifti(tmp_path / "b.nii", grey(1), moved)]
    note = read_image(Source.of(*paths)).notes[0]
    assert (note.where, note.kind, note.is_warning) == (str(paths[1]), "geometry", False)
    assert "0.2 mm" in note.what
    moved[0, 3] = 1e-4
    assert read_image(Source.of(paths[0], nifti(tmp_path / "c.nii", grey(1), moved))).notes == ()


def test_channels_of_another_size_are_refused(tmp_path: Path) -> None:
    paths = [nifti(tmp_path / "a.nii", grey(0)), nifti(tmp_path / "b.nii", grey(1, (3, 4, 6)))]
    for read in (read_image, read_mask):
        with pytest.raises(UnreadableError, match=r"b\.nii: has 6 x 4 x 3 elements, but a\.nii"):
            read(Source.of(*paths))


def test_masks_of_several_objects_are_united(tmp_path: Path) -> None:
    masks = [np.where(grey(seed, (20, 30)) > 150, 255, 0).astype(np.uint8) for seed in range(3)]
    for index, mask in enumerate(masks):
        Image.fromarray(mask).save(tmp_path / f"{index}.png")
    source = Source.of(*(tmp_path / f"{index}.png" for index in range(3)), joined="union")
    np.testing.assert_array_equal(read_mask(source).array, (np.array(masks) > 0).any(axis=0) * 255)


def test_a_source_of_one_reads_as_its_file(tmp_path: Path) -> None:
    path = nifti(tmp_path / "a.nii", grey(0))
    np.testing.assert_array_equal(read_image(Source.of(path)).array, read_image(path).array)
    slices = write_series(tmp_path / "dicom", grey(0))
    assert read_image(Source.of(slices[0], joined="slices")).array.shape == (1, 4, 5)


def test_digests(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"one")
    (tmp_path / "b.png").write_bytes(b"two")
    one, two = (hashlib.sha256(content).digest() for content in (b"one", b"two"))
    first, second = tmp_path / "a.png", tmp_path / "b.png"
    assert digest(first) == digest(Source.of(first)) == one
    assert digest(Source.of(first, second)) == hashlib.sha256(one + two).digest()
    assert digest(Source.of(second, first)) != digest(Source.of(first, second))
    with pytest.raises(UnreadableError, match="cannot be opened"):
        digest(tmp_path / "c.png")


def test_the_limit_on_size_can_be_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = nifti(tmp_path / "a.nii", grey(0))
    monkeypatch.setenv("UNIFOCAL_MAX_ELEMENTS", "59")
    with pytest.raises(UnreadableError, match="more than"):
        read_image(path)
    monkeypatch.setenv("UNIFOCAL_MAX_ELEMENTS", "60")
    read_image(path)
    monkeypatch.setenv("UNIFOCAL_MAX_ELEMENTS", "many")
    with pytest.raises(InputError, match="UNIFOCAL_MAX_ELEMENTS: is 'many'"):
        read_image(path)


def test_a_folder_or_a_file_without_permission_is_told(tmp_path: Path) -> None:
    for name in ("a.png", "a.nii.gz", "a.nrrd", "a.dcm", "a.mat"):
        (tmp_path / name).mkdir()
        with pytest.raises(UnreadableError, match="cannot be opened"):
            read_image(tmp_path / name)
        with pytest.raises(UnreadableError, match="cannot be opened"):
            read_mask(tmp_path / "absent" / name)
