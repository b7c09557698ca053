"""TIFF files of several pages, ImageJ's spacing, and orientation tags."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from real_images import real_data
from unifocal.data.read import UnreadableError, read_image, read_mask

Array = np.ndarray[Any, Any]


def grey(shape: tuple[int, ...] = (4, 8, 9), dtype: Any = np.uint8, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 200, shape).astype(dtype)


def pages(path: Path, pictures: list[Image.Image], **options: Any) -> Path:
    pictures[0].save(path, save_all=True, append_images=pictures[1:], **options)
    return path


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, np.float64])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"bigtiff": True}, {"byteorder": ">"}])
def test_pages_are_slices(tmp_path: Path, dtype: Any, options: dict[str, Any]) -> None:
    stack = grey(dtype=dtype)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack", **options)
    image, mask = read_image(tmp_path / "a.tif"), read_mask(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.array, stack[None])
    np.testing.assert_array_equal(mask.array, stack)
    assert image.array.dtype == np.float32
    assert mask.array.dtype.isnative
    assert (image.spacing_mm, image.affine, image.notes) == (None, None, ())


@pytest.mark.parametrize("mode", ["L", "RGB", "1", "P", "I;16"])
def test_pages_written_by_pillow_read_as_the_single_pages_do(tmp_path: Path, mode: str) -> None:
    pictures = []
    for seed in range(3):
        pixels = grey((8, 9, 3) if mode == "RGB" else (8, 9), np.uint16 if mode == "I;16" else np.uint8, seed)
        picture = Image.fromarray(pixels if mode != "P" else pixels % 5)
        if mode == "P":
            picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
        pictures.append(picture.convert("1") if mode == "1" else picture)
        pictures[-1].save(tmp_path / f"{seed}.tif")
    path = pages(tmp_path / "all.tif", pictures)
    single = [read_image(tmp_path / f"{seed}.tif").array for seed in range(3)]
    np.testing.assert_array_equal(read_image(path).array, np.stack(single, axis=1))
    if mode != "RGB":
        masks = [read_mask(tmp_path / f"{seed}.tif").array for seed in range(3)]
        np.testing.assert_array_equal(read_mask(path).array, np.stack(masks))


def test_pages_on_which_0_is_white_are_inverted_like_single_ones(tmp_path: Path) -> None:
    stack = grey()
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="miniswhite")
    tifffile.imwrite(tmp_path / "b.tif", stack[0], photometric="miniswhite")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").array[:, 0], read_image(tmp_path / "b.tif").array)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").array[0], 255 - stack.astype(int))


def test_colour_pages(tmp_path: Path) -> None:
    stack = grey((4, 8, 9, 3))
    for options in ({}, {"extrasamples": ["unassalpha"]}):
        content = np.concatenate([stack, stack[..., :1]], axis=-1) if options else stack
        tifffile.imwrite(tmp_path / "a.tif", content, photometric="rgb", **options)
        np.testing.assert_array_equal(read_image(tmp_path / "a.tif").array, np.moveaxis(stack, -1, 0))
    with pytest.raises(UnreadableError, match="colour"):
        read_mask(tmp_path / "a.tif")


def test_pages_that_differ_are_refused(tmp_path: Path) -> None:
    small_and_large = [Image.fromarray(grey((8, 9))), Image.fromarray(grey((8, 10)))]
    two_types = [Image.fromarray(grey((8, 9))), Image.fromarray(grey((8, 9), np.uint16))]
    for pictures in (small_and_large, two_types):
        path = pages(tmp_path / "a.tif", pictures)
        for read in (read_image, read_mask):
            with pytest.raises(UnreadableError, match="pages that differ"):
                read(path)


def test_imagej_s_channels_and_time(tmp_path: Path) -> None:
    stack = grey((3, 2, 8, 9), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "ZCYX"})
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").array, np.moveaxis(stack, 1, 0))
    tifffile.imwrite(tmp_path / "b.tif", stack, imagej=True, metadata={"axes": "TZYX"})
    with pytest.raises(UnreadableError, match="too many axes"):
        read_image(tmp_path / "b.tif")
    tifffile.imwrite(tmp_path / "c.tif", stack[0], imagej=True, metadata={"axes": "CYX"})
    np.testing.assert_array_equal(read_image(tmp_path / "c.tif").array, stack[0])


@pytest.mark.parametrize(("unit", "mm"), [("mm", 1), ("micron", 1e-3), ("um", 1e-3), ("cm", 10), ("\\u00B5m", 1e-3)])
def test_imagej_s_spacing_counts(tmp_path: Path, unit: str, mm: float) -> None:
    options: dict[str, Any] = {"imagej": True, "resolution": (1 / 0.5, 1 / 0.25)}
    metadata = {"spacing": 3.0, "unit": unit}
    tifffile.imwrite(tmp_path / "a.tif", grey(), metadata={**metadata, "axes": "ZYX"}, **options)
    np.testing.assert_allclose(read_image(tmp_path / "a.tif").spacing_mm, np.array([3, 0.25, 0.5]) * mm)
    tifffile.imwrite(tmp_path / "b.tif", grey((8, 9)), metadata=metadata, **options)
    np.testing.assert_allclose(read_mask(tmp_path / "b.tif").spacing_mm, np.array([0.25, 0.5]) * mm)


@pytest.mark.parametrize("metadata", [{}, {"unit": "pixel", "spacing": 2.0}, {"unit": "mm"}])
def test_an_unclear_spacing_is_none(tmp_path: Path, metadata: dict[str, Any]) -> None:
    tifffile.imwrite(tmp_path / "a.tif", grey(), imagej=True, resolution=(2, 4), metadata={**metadata, "axes": "ZYX"})
    assert read_image(tmp_path / "a.tif").spacing_mm is None


def test_a_printer_s_resolution_is_no_spacing(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", grey((8, 9)), resolution=(300, 300), resolutionunit="CENTIMETER")
    assert read_image(tmp_path / "a.tif").spacing_mm is None


@pytest.mark.parametrize("tag", range(1, 9))
@pytest.mark.parametrize("options", [{}, {"compression": "tiff_lzw"}])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_turned_tiff_reads_as_it_is_stored(tmp_path: Path, tag: int, options: dict[str, Any], dtype: Any) -> None:
    pixels = grey((6, 9), dtype)
    for name, pictures in (("one.tif", 1), ("two.tif", 2)):
        path = pages(tmp_path / name, [Image.fromarray(pixels)] * pictures, tiffinfo={274: tag}, **options)
        for plane in read_mask(path).array.reshape(-1, 6, 9):
            np.testing.assert_array_equal(plane, pixels)


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "1", "I;16"])
def test_lzw_stacks(tmp_path: Path, mode: str) -> None:
    for compression in (None, "tiff_lzw"):
        pictures = []
        for seed in range(3):
            pixels = grey((8, 9, 3) if mode == "RGB" else (8, 9), np.uint16 if mode == "I;16" else np.uint8, seed)
            picture = Image.fromarray(pixels % 5 if mode == "P" else pixels)
            if mode == "P":
                picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
            pictures.append(picture.convert("1") if mode == "1" else picture)
        pages(tmp_path / f"{compression}.tif", pictures, compression=compression)
    plain, packed = read_image(tmp_path / "None.tif").array, read_image(tmp_path / "tiff_lzw.tif").array
    np.testing.assert_array_equal(packed, plain)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("tag", [1, 6])
def test_an_orientation_tag_is_told_and_turns_nothing(tmp_path: Path, kind: str, tag: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = tag
    path = tmp_path / f"a.{kind.lower()}"
    Image.fromarray(np.full((6, 9), 77, np.uint8)).save(path, kind, exif=exif)
    for scan in (read_image(path), read_mask(path)):
        assert scan.array.shape[-2:] == (6, 9)
        assert [(note.kind, note.is_warning) for note in scan.notes] == (
            [("exif-orientation", True)] if tag > 1 else []
        )


def test_every_cut_of_a_stack_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, grey(), photometric="minisblack", compression="zlib")
    whole = buffer.getvalue()
    for length in range(0, len(whole), 97):
        (tmp_path / "a.tif").write_bytes(whole[:length])
        with pytest.raises(UnreadableError):
            read_image(tmp_path / "a.tif")


def test_real_pictures_read_as_before() -> None:
    for name in ("drive/training/images/21_training.tif", "drive/training/1st_manual/21_manual1.gif"):
        path = real_data("drive").parent / name
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB" if name.endswith("tif") else "L"))
        expected = np.moveaxis(pixels, 2, 0) if pixels.ndim == 3 else pixels[None]
        np.testing.assert_array_equal(read_image(path).array, expected)
