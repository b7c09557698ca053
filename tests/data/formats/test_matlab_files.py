"""MATLAB files: Cheng's layout and single arrays, version 7.3 (HDF5, as MATLAB lays it out) and older."""

import hashlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from unifocal.data.formats.matlab import case_facts
from unifocal.data.read import UnreadableError, read_image, read_mask

Array = np.ndarray[Any, Any]
IMAGE = np.random.default_rng(0).integers(0, 3000, (6, 9)).astype(np.int16)
MASK = (IMAGE > 2000).astype(np.uint8)


def with_user_block(path: Path) -> h5py.File:
    """A version 7.3 file: 512 bytes of MATLAB's own, then HDF5."""
    return h5py.File(path, "w", userblock_size=512)


def mark(path: Path) -> None:
    text = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM"
    path.write_bytes(text.ljust(512, b"\0") + path.read_bytes()[512:])


def cheng_new(path: Path, image: Array = IMAGE, mask: Array = MASK, label: float = 2) -> Path:
    """MATLAB stores columns first, so that HDF5 shows every array with its axes reversed."""
    with with_user_block(path) as file:
        group = file.create_group("cjdata")
        group.create_dataset("image", data=image.T, compression="gzip")
        group.create_dataset("tumorMask", data=mask.T).attrs["MATLAB_class"] = np.bytes_("logical")
        group.create_dataset("label", data=np.array([[label]]))
        group.create_dataset("PID", data=np.array([[ord(letter)] for letter in "100360"], np.uint16))
        group.create_dataset("tumorBorder", data=np.ones((20, 1)))
    mark(path)
    return path


def cheng_old(path: Path, label: float = 2) -> Path:
    record = {"image": IMAGE, "tumorMask": MASK, "label": label, "PID": "100360", "tumorBorder": np.ones((20, 1))}
    savemat(path, {"cjdata": record}, do_compression=True)
    return path


@pytest.mark.parametrize("write", [cheng_new, cheng_old])
def test_cheng_s_files(tmp_path: Path, write: Any) -> None:
    path = write(tmp_path / "1.mat")
    image, mask = read_image(path), read_mask(path)
    np.testing.assert_array_equal(image.array, IMAGE[None])
    np.testing.assert_array_equal(mask.array, MASK)
    assert (image.array.dtype, mask.array.dtype) == (np.float32, np.uint8)
    assert image.array.flags.c_contiguous
    assert mask.array.flags.c_contiguous
    assert image.patient == hashlib.sha256(b"100360").hexdigest()[:12]
    assert case_facts(path) == {"patient": "100360", "class": "glioma"}
    with pytest.raises(UnreadableError, match="label 7"):
        case_facts(write(tmp_path / "2.mat", label=7))


@pytest.mark.parametrize("shape", [(6, 9), (6, 9, 4)])
def test_a_single_array_in_either_version(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(1).integers(0, 9, shape).astype(np.float64)
    savemat(tmp_path / "old.mat", {"scan": array, "name": "someone", "spacing": 2.0}, do_compression=True)
    savemat(tmp_path / "oldest.mat", {"scan": array[..., 0] if array.ndim == 3 else array}, format="4")
    with with_user_block(tmp_path / "new.mat") as file:
        file["scan"], file["spacing"] = array.T, np.array([[2.0]])
        file["name"] = np.array([[115], [111]], np.uint16)
        file["name"].attrs["MATLAB_class"] = np.bytes_("char")
        file.create_group("#refs#")
    mark(tmp_path / "new.mat")
    expected = np.moveaxis(array, 2, 0) if array.ndim == 3 else array
    for name in ("old.mat", "new.mat"):
        np.testing.assert_array_equal(read_image(tmp_path / name).array[0], expected)
        np.testing.assert_array_equal(read_mask(tmp_path / name).array, expected)
    np.testing.assert_array_equal(read_image(tmp_path / "oldest.mat").array[0], array.reshape(6, 9, -1)[..., 0])


def test_several_arrays_or_none_or_colours_are_refused(tmp_path: Path) -> None:
    savemat(tmp_path / "two.mat", {"a": IMAGE, "b": IMAGE})
    savemat(tmp_path / "none.mat", {"a": "text"})
    savemat(tmp_path / "colour.mat", {"a": np.ones((5, 6, 3), np.uint8)})
    for name, said in (("two.mat", r"2 arrays \(a, b\)"), ("none.mat", "no array"), ("colour.mat", "colours or 3")):
        with pytest.raises(UnreadableError, match=said):
            read_image(tmp_path / name)


@pytest.mark.parametrize("trick", ["link", "storage", "virtual"])
def test_numbers_in_another_file_are_refused(tmp_path: Path, trick: str) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["image"] = IMAGE
    IMAGE.tofile(tmp_path / "other.raw")
    with h5py.File(tmp_path / "a.mat", "w") as file:
        if trick == "link":
            file["image"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "image")
        elif trick == "storage":
            outside = [(str(tmp_path / "other.raw"), 0, IMAGE.nbytes)]
            file.create_dataset("image", IMAGE.shape, IMAGE.dtype, external=outside)
        else:
            layout = h5py.VirtualLayout(IMAGE.shape, IMAGE.dtype)
            layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "image", IMAGE.shape)
            file.create_virtual_dataset("image", layout)
    for read in (read_image, read_mask):
        with pytest.raises(UnreadableError) as caught:
            read(tmp_path / "a.mat")
        assert caught.value.problems[0].kind == "path-outside"


def test_absurd_sizes_and_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5py.File(tmp_path / "new.mat", "w") as file:
        file.create_dataset("image", (100_000, 100_000), np.float64, chunks=(1000, 1000), compression="gzip")
    with pytest.raises(UnreadableError, match="million elements"):
        read_image(tmp_path / "new.mat")
    savemat(tmp_path / "old.mat", {"a": np.zeros((1500, 1500))}, do_compression=True)
    monkeypatch.setenv("UNIFOCAL_MAX_ELEMENTS", "1000000")
    with pytest.raises(UnreadableError, match="inflates to more"):
        read_image(tmp_path / "old.mat")


@pytest.mark.parametrize("write", [cheng_new, cheng_old])
def test_files_cut_short_and_changed(tmp_path: Path, write: Any) -> None:
    path = write(tmp_path / "1.mat")
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    for length in random.integers(0, len(whole) - 64, 40):
        path.write_bytes(whole[:length])
        with pytest.raises(UnreadableError):
            read_image(path)
    for at in random.integers(0, len(whole), 60):
        path.write_bytes(whole[:at] + random.bytes(3) + whole[at + 3 :])
        for read in (read_image, read_mask, case_facts):
            try:
                read(path)
            except UnreadableError:
                continue


def test_other_files_are_told_apart(tmp_path: Path) -> None:
    for content, said in ((b"", "0 bytes"), (b"no matlab here\n" * 50, "cannot be read")):
        (tmp_path / "a.mat").write_bytes(content)
        with pytest.raises(UnreadableError, match=said):
            read_image(tmp_path / "a.mat")
