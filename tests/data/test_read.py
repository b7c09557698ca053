"""Files as arrays: every format gives back what was stored, and damage never goes unseen."""

import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from unifocal.data.formats.pictures import image_of, mask_of
from unifocal.data.read import UnreadableError, read_image, read_mask

Array = np.ndarray[Any, Any]
FEW = settings(max_examples=25, deadline=None)
SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=20)
ANY = Path("file")


def image_from_bytes(data: bytes, path: Path) -> Array:
    return image_of(data, path).array


def mask_from_bytes(data: bytes, path: Path) -> Array:
    return mask_of(data, path).array


def stored(pixels: Array | Image.Image, kind: str, **options: Any) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(pixels: Array, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **options)
    return buffer.getvalue()


def with_palette(indices: Array, colours: list[tuple[int, int, int]]) -> Image.Image:
    image = Image.new("P", indices.shape[::-1])
    image.putdata(indices.ravel().tolist())
    image.putpalette([value for colour in colours for value in colour])
    return image


def grey_image(rows: int = 30, columns: int = 41, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 256, (rows, columns), dtype=np.uint8)


def voc_colours(count: int) -> list[tuple[int, int, int]]:
    """PASCAL VOC's colour map: bit 0, 1, 2 of the index are the top bits of red, green, blue, and so on."""
    colours = []
    for index in range(count):
        red = green = blue = 0
        for bit in range(8):
            red |= (index >> (3 * bit) & 1) << (7 - bit)
            green |= (index >> (3 * bit + 1) & 1) << (7 - bit)
            blue |= (index >> (3 * bit + 2) & 1) << (7 - bit)
        colours.append((red, green, blue))
    return colours


@FEW
@given(hnp.arrays(np.uint8, SHAPES), st.sampled_from(["PNG", "TIFF", "BMP", "GIF"]))
def test_grey_of_8_bits_comes_back(pixels: Array, kind: str) -> None:
    data = stored(pixels, kind)
    np.testing.assert_array_equal(mask_from_bytes(data, ANY), pixels)
    image = image_from_bytes(data, ANY)
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, pixels[None])


@FEW
@given(hnp.arrays(np.uint16, SHAPES), st.sampled_from(["PNG", "TIFF"]))
def test_grey_of_16_bits_keeps_its_range(pixels: Array, kind: str) -> None:
    data = stored(pixels, kind)
    mask = mask_from_bytes(data, ANY)
    assert mask.dtype == np.uint16
    np.testing.assert_array_equal(mask, pixels)
    np.testing.assert_array_equal(image_from_bytes(data, ANY), pixels[None].astype(np.float32))


@FEW
@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1).map(lambda s: (*s, 3))))
def test_colour_comes_back_channels_first(pixels: Array) -> None:
    for kind in ("PNG", "TIFF", "BMP"):
        np.testing.assert_array_equal(image_from_bytes(stored(pixels, kind), ANY), np.moveaxis(pixels, 2, 0))
    lossless = stored(pixels, "WEBP", lossless=True)
    np.testing.assert_array_equal(image_from_bytes(lossless, ANY), np.moveaxis(pixels, 2, 0))


@pytest.mark.parametrize("options", [{}, {"planarconfig": "separate"}, {"byteorder": ">"}, {"compression": "zlib"}])
def test_tiff_with_colour_of_16_bits_keeps_its_range(options: dict[str, Any]) -> None:
    pixels = np.random.default_rng(1).integers(0, 65536, (7, 9, 3), dtype=np.uint16)
    is_separate = "planarconfig" in options
    data = tiff(np.moveaxis(pixels, 2, 0) if is_separate else pixels, photometric="rgb", **options)
    np.testing.assert_array_equal(image_from_bytes(data, ANY), np.moveaxis(pixels, 2, 0))


@pytest.mark.parametrize("dtype", ["int16", "int32", "uint32", "float16", "float32", "float64", ">u2", ">f4"])
def test_tiff_of_other_numbers(dtype: str) -> None:
    pixels = np.array([[0, 1, 2], [100, 1000, 30000]], dtype=dtype)
    np.testing.assert_array_equal(image_from_bytes(tiff(pixels), ANY)[0], pixels)
    mask = mask_from_bytes(tiff(pixels), ANY)
    assert np.issubdtype(mask.dtype, np.integer)
    np.testing.assert_array_equal(mask, pixels)


def test_tiff_with_lzw_compression() -> None:
    for pixels in (grey_image(), grey_image().astype(np.uint16) * 200):
        data = stored(pixels, "TIFF", compression="tiff_lzw")
        np.testing.assert_array_equal(mask_from_bytes(data, ANY), pixels)


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf, -np.inf, 1e20])
def test_a_mask_of_values_that_are_no_whole_numbers_is_refused(value: float) -> None:
    with pytest.raises(UnreadableError, match="not whole numbers"):
        mask_from_bytes(tiff(np.array([[0, 1, value]], dtype=np.float32)), ANY)


def test_values_that_are_not_finite_reach_the_check_of_the_data() -> None:
    image = image_from_bytes(tiff(np.array([[0.0, np.nan], [1e300, -1.0]])), ANY)
    np.testing.assert_array_equal(image, np.array([[[0, np.nan], [np.inf, -1]]], dtype=np.float32))


def test_transparency_is_dropped() -> None:
    grey, alpha = grey_image(), grey_image(seed=1)
    with_alpha = Image.merge("LA", [Image.fromarray(grey), Image.fromarray(alpha)])
    np.testing.assert_array_equal(image_from_bytes(stored(with_alpha, "PNG"), ANY), grey[None])
    np.testing.assert_array_equal(mask_from_bytes(stored(with_alpha, "PNG"), ANY), grey)
    four = np.stack([grey, grey.T.reshape(grey.shape), alpha, alpha], axis=2)
    np.testing.assert_array_equal(image_from_bytes(stored(four, "PNG"), ANY), np.moveaxis(four[..., :3], 2, 0))
    deep = four.astype(np.uint16) * 257
    data = tiff(deep, photometric="rgb", extrasamples=["unassalpha"])
    np.testing.assert_array_equal(image_from_bytes(data, ANY), np.moveaxis(deep[..., :3], 2, 0))


@FEW
@given(hnp.arrays(np.bool_, SHAPES), st.sampled_from(["PNG", "TIFF", "BMP"]))
def test_one_bit_reads_as_black_and_white(pixels: Array, kind: str) -> None:
    data = stored(Image.fromarray(pixels.astype(np.uint8) * 255).convert("1"), kind)
    np.testing.assert_array_equal(mask_from_bytes(data, ANY), np.where(pixels, 255, 0))


@FEW
@given(hnp.arrays(np.uint8, SHAPES, elements=st.integers(0, 1)), st.sampled_from(["PNG", "GIF", "BMP", "TIFF"]))
def test_a_palette_of_black_and_white_reads_as_0_and_255(indices: Array, kind: str) -> None:
    colours = [(0, 0, 0), (255, 255, 255)]
    data = stored(with_palette(indices, colours * 128 if kind == "BMP" else colours), kind)
    np.testing.assert_array_equal(mask_from_bytes(data, ANY), indices * 255)


def test_a_bmp_that_pillow_would_read_as_all_black_is_refused() -> None:
    indices = np.array([[0, 1, 0, 1], [1, 1, 0, 0]], np.uint8)
    data = stored(with_palette(indices, [(0, 0, 0), (255, 255, 255)]), "BMP")
    assert not np.asarray(Image.open(io.BytesIO(data))).any()
    with pytest.raises(UnreadableError, match="short palette"):
        mask_from_bytes(data, ANY)


@FEW
@given(hnp.arrays(np.uint8, SHAPES, elements=st.integers(0, 20)), st.sampled_from(["PNG", "BMP", "TIFF"]))
def test_a_palette_of_colours_reads_as_labels(indices: Array, kind: str) -> None:
    data = stored(with_palette(indices, voc_colours(256)), kind)
    np.testing.assert_array_equal(mask_from_bytes(data, ANY), indices)


def test_label_7_of_voc_is_grey_in_its_palette_but_stays_a_label() -> None:
    colours = voc_colours(256)
    assert colours[7] == (128, 128, 128)
    indices = np.array([[0, 7], [7, 7]], dtype=np.uint8)
    np.testing.assert_array_equal(mask_from_bytes(stored(with_palette(indices, colours), "PNG"), ANY), indices)


def test_an_empty_mask_whose_palette_begins_with_a_colour_is_empty() -> None:
    indices = np.zeros((4, 5), np.uint8)
    data = stored(with_palette(indices, [(255, 255, 255), (255, 0, 0)]), "PNG")
    np.testing.assert_array_equal(mask_from_bytes(data, ANY), indices)


def test_an_image_with_a_palette_shows_its_colours() -> None:
    indices = np.array([[0, 1, 2], [2, 1, 0]], dtype=np.uint8)
    colours = [(10, 20, 30), (200, 0, 7), (1, 2, 3)]
    image = image_from_bytes(stored(with_palette(indices, colours), "PNG"), ANY)
    np.testing.assert_array_equal(image, np.moveaxis(np.array(colours)[indices], 2, 0))


def test_an_image_with_a_palette_is_grey_when_the_colours_in_use_are() -> None:
    indices = np.array([[0, 1], [1, 0]], dtype=np.uint8)
    image = image_from_bytes(stored(with_palette(indices, [(9, 9, 9), (70, 70, 70), (255, 0, 0)]), "PNG"), ANY)
    np.testing.assert_array_equal(image, np.array([[[9, 70], [70, 9]]]))


def test_a_palette_with_transparency_reads_without_a_warning() -> None:
    indices = np.array([[0, 1], [1, 0]], dtype=np.uint8)
    picture = with_palette(indices, [(0, 0, 0), (255, 255, 255)])
    data = stored(picture, "PNG", transparency=b"\x00\x80")
    np.testing.assert_array_equal(mask_from_bytes(data, ANY), indices * 255)
    np.testing.assert_array_equal(image_from_bytes(data, ANY)[0], indices * 255)


def test_a_cmyk_jpeg_becomes_rgb() -> None:
    red = Image.new("RGB", (16, 16), (250, 10, 10)).convert("CMYK")
    image = image_from_bytes(stored(red, "JPEG", quality=95), ANY)
    assert image.shape == (3, 16, 16)
    np.testing.assert_allclose(image[:, 8, 8], [250, 10, 10], atol=6)


def test_a_mask_with_three_equal_channels_collapses() -> None:
    grey = grey_image()
    np.testing.assert_array_equal(mask_from_bytes(stored(np.dstack([grey] * 3), "PNG"), ANY), grey)


def test_a_mask_in_colour_is_refused() -> None:
    pixels = np.dstack([grey_image()] * 3)
    pixels[3, 4, 1] ^= 1
    with pytest.raises(UnreadableError, match="colour"):
        mask_from_bytes(stored(pixels, "PNG"), ANY)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_several_frames_are_refused_by_number(kind: str) -> None:
    frames = [Image.fromarray(grey_image(seed=seed)) for seed in range(3)]
    data = stored(frames[0], kind, save_all=True, append_images=frames[1:])
    for read in (image_from_bytes, mask_from_bytes):
        with pytest.raises(UnreadableError, match="3 frames"):
            read(data, ANY)


def test_a_single_deep_picture_written_by_imagej_is_read() -> None:
    pixels = grey_image().astype(np.uint16) * 3
    np.testing.assert_array_equal(mask_from_bytes(tiff(pixels, imagej=True), ANY), pixels)


def deep_png(pixels: Array, colour_type: int) -> bytes:
    """A PNG with 16 bits per channel, without filters, by the standard's own words."""
    rows, columns = pixels.shape[:2]
    header = struct.pack(">IIBBBBB", columns, rows, 16, colour_type, 0, 0, 0)
    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


@pytest.mark.parametrize(("colour_type", "channels"), [(2, 3), (6, 4)])
def test_colour_png_of_16_bits_keeps_its_range(colour_type: int, channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (5, 7, channels), dtype=np.uint16)
    image = image_from_bytes(deep_png(pixels, colour_type), ANY)
    np.testing.assert_array_equal(image, np.moveaxis(pixels[..., :3], 2, 0))


def test_colour_png_of_16_bits_that_lacks_pixels_is_refused() -> None:
    data = deep_png(np.ones((5, 7, 3), np.uint16), 2)
    header = struct.pack(">IIBBBBB", 7, 9, 16, 2, 0, 0, 0)
    taller = data[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + data[33:]
    with pytest.raises(UnreadableError, match="damaged"):
        image_from_bytes(taller, ANY)


def test_grey_png_of_16_bits_with_transparency_is_refused() -> None:
    with pytest.raises(UnreadableError, match="16 bits"):
        image_from_bytes(deep_png(np.ones((5, 7, 2), np.uint16), 4), ANY)


SAMPLES = {
    "png": stored(grey_image(), "PNG"),
    "png_colour": stored(np.dstack([grey_image(seed=seed) for seed in range(3)]), "PNG"),
    "png_mask": stored(np.pad(np.full((9, 9), 255, np.uint8), 20), "PNG"),
    "jpeg": stored(grey_image(), "JPEG"),
    "jpeg_progressive": stored(grey_image(), "JPEG", progressive=True),
    "tiff": stored(grey_image(), "TIFF"),
    "tiff_lzw": stored(grey_image(), "TIFF", compression="tiff_lzw"),
    "tiff_deep": tiff(grey_image().astype(np.uint16)),
    "tiff_deep_colour": tiff(np.dstack([grey_image().astype(np.uint16)] * 3), photometric="rgb"),
    "tiff_double": tiff(grey_image().astype(np.float64)),
    "webp": stored(grey_image(), "WEBP", lossless=True),
}
# Without these last bytes (padding, end mark, offset of a next page) every pixel is still there.
SPARE_BYTES = {"bmp": 8, "gif": 2, "tiff_lzw": 4}
SAMPLES |= {"bmp": stored(grey_image(30, 40), "BMP"), "gif": stored(grey_image(), "GIF")}


@pytest.mark.parametrize("name", SAMPLES)
@settings(max_examples=20, deadline=None)
@given(st.data())
def test_a_file_cut_short_is_refused_wherever_it_ends(name: str, data: st.DataObject) -> None:
    whole = SAMPLES[name]
    needed = len(whole) - SPARE_BYTES.get(name, 0)
    image_from_bytes(whole, ANY)
    length = data.draw(st.integers(0, needed - 1))
    for read in (image_from_bytes, mask_from_bytes):
        with pytest.raises(UnreadableError):
            read(whole[:length], ANY)


@settings(max_examples=60, deadline=None)
@given(st.integers(8, len(SAMPLES["png_mask"]) - 1), st.integers(1, 255))
def test_a_changed_byte_in_a_png_is_noticed(position: int, change: int) -> None:
    changed = bytearray(SAMPLES["png_mask"])
    changed[position] ^= change
    with pytest.raises(UnreadableError):
        mask_from_bytes(bytes(changed), ANY)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(SAMPLES)), st.binary(min_size=1, max_size=8), st.data())
def test_damage_gives_an_array_or_the_one_error(name: str, noise: bytes, data: st.DataObject) -> None:
    whole = SAMPLES[name]
    position = data.draw(st.integers(0, len(whole) - 1))
    try:
        image = image_from_bytes(whole[:position] + noise + whole[position + len(noise) :], ANY)
    except UnreadableError:
        return
    assert image.ndim == 3


def test_an_empty_file_and_a_missing_one_and_text(tmp_path: Path) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("patient,age\n1,40\n" * 20)
    for name, reason in (("empty.png", "0 bytes"), ("missing.png", "cannot be opened"), ("text.png", "not a PNG")):
        for read in (read_image, read_mask):
            with pytest.raises(UnreadableError, match=reason) as caught:
                read(tmp_path / name)
            assert [problem.where for problem in caught.value.problems] == [str(tmp_path / name)]


def test_the_file_s_extension_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "really_png.jpg").write_bytes(stored(grey_image(), "PNG"))
    np.testing.assert_array_equal(read_mask(tmp_path / "really_png.jpg").array, grey_image())


def test_pillow_s_limit_on_size_is_lifted_and_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    before = list(warnings.filters)
    np.testing.assert_array_equal(mask_from_bytes(stored(grey_image(), "PNG"), ANY), grey_image())
    np.testing.assert_array_equal(mask_from_bytes(SAMPLES["gif"], ANY), grey_image())
    assert Image.MAX_IMAGE_PIXELS == 10
    assert warnings.filters == before


def test_a_picture_beyond_the_own_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNIFOCAL_MAX_ELEMENTS", str(30 * 41 - 1))
    with pytest.raises(UnreadableError, match="million elements"):
        image_from_bytes(SAMPLES["png"], ANY)
