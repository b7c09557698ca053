"""The cache of prepared cases: what comes back, from whole and damaged files, and where nothing can be written."""

import os
import pickle
import resource
import stat
import time
import warnings
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from cache_workers import KEYS, case, is_right
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from unifocal.preprocessing.cache import Cache, PreparedCase, default_folder, fingerprint, parse_bytes
from unifocal.problems import InputError

MB = 10**6
KEY = KEYS[0]


def never() -> NoReturn:
    raise AssertionError("made again without need")


class Making:
    """Makes case 0 and counts how often."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> PreparedCase:
        self.times += 1
        return case(0)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache", 10 * MB)


def file_of(cache: Cache) -> Path:
    (path,) = cache.folder.rglob("*.case")
    return path


def test_made_once_and_the_same_ever_after(cache: Cache) -> None:
    make = Making()
    for _ in range(3):
        assert is_right(cache.fetch(KEY, make), 0)
    assert is_right(Cache(cache.folder, 10 * MB).fetch(KEY, never), 0)
    assert make.times == 1
    assert [path.name for path in cache.folder.rglob("*") if path.is_file()].count("lock") == 1
    assert cache.size_bytes() == file_of(cache).stat().st_size < 30_000


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    hnp.array_shapes(min_dims=2, max_dims=4, min_side=0, max_side=40),
    st.booleans(),
    st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()),
    st.integers(0, 2**32),
)
def test_any_case_comes_back(tmp_path: Path, shape: tuple[int, ...], masked: bool, facts: dict, seed: int) -> None:
    noise = np.random.default_rng(seed)
    image = noise.normal(size=shape).astype(np.float32)
    image[image > 1] = np.nan
    classes = noise.integers(0, 255, shape[1:]).astype(np.uint8) if masked else None
    key = Cache.key(str(seed), str(shape), pipeline=repr((masked, facts)))
    cache = Cache(tmp_path, 1000 * MB)
    for make in (lambda: PreparedCase(image, classes, facts), never):
        found = cache.fetch(key, make)
        np.testing.assert_array_equal(found.image[...], image)
        assert (found.image.shape, found.image.dtype, found.image.ndim) == (shape, np.float32, len(shape))
        assert found.facts == facts
        if classes is None:
            assert found.classes is None
        else:
            assert found.classes is not None
            np.testing.assert_array_equal(found.classes[...], classes)


def test_arrays_that_are_not_contiguous_are_stored_as_they_look(cache: Cache) -> None:
    image = np.arange(60, dtype=np.float32).reshape(1, 6, 10)[:, ::-2, ::3]
    found = cache.fetch(KEY, lambda: PreparedCase(image))
    np.testing.assert_array_equal(found.image[...], image)


@pytest.mark.parametrize(
    ("image", "classes"),
    [
        (np.zeros((1, 4, 4)), None),
        (np.zeros((1, 4, 4), np.float32), np.zeros((4, 4), np.int64)),
        (np.zeros((1, 4, 4), np.float32), np.zeros((4, 5), np.uint8)),
    ],
)
def test_other_arrays_are_refused(image: np.ndarray, classes: np.ndarray | None) -> None:
    with pytest.raises(ValueError, match="float32 image"):
        PreparedCase(image, classes)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_every_flipped_bit_is_found(tmp_path: Path, data: st.DataObject) -> None:
    cache = Cache(tmp_path, 10 * MB)
    make = Making()
    is_right(cache.fetch(KEY, make), 0)
    path = file_of(cache)
    content = bytearray(path.read_bytes())
    # Half of the time in the header, which is a hundredth of the file.
    position = data.draw(st.integers(0, 250) | st.integers(0, len(content) - 1))
    content[position] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    made = make.times
    assert is_right(cache.fetch(KEY, make), 0)
    assert make.times > made
    assert is_right(cache.fetch(KEY, never), 0)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(0, 1.5))
def test_a_file_of_another_length_is_made_again(tmp_path: Path, share: float) -> None:
    cache = Cache(tmp_path, 10 * MB)
    cache.fetch(KEY, Making())
    path = file_of(cache)
    length = path.stat().st_size
    os.truncate(path, int(share * length))
    make = Making()
    assert is_right(cache.fetch(KEY, make), 0)
    assert make.times == (int(share * length) != length)
    assert is_right(cache.fetch(KEY, never), 0)


def test_another_cases_file_is_not_taken_for_this_one(cache: Cache) -> None:
    cache.fetch(KEY, Making())
    other = Path(cache._room.path(KEYS[1]))
    other.parent.mkdir(exist_ok=True)
    file_of(cache).rename(other)
    assert is_right(cache.fetch(KEYS[1], lambda: case(1)), 1)


def test_a_reader_survives_what_happens_to_its_file(cache: Cache) -> None:
    found = cache.fetch(KEY, Making())
    file_of(cache).unlink()
    assert is_right(found, 0)
    found = cache.fetch(KEY, Making())
    os.truncate(file_of(cache), 40)
    assert is_right(found, 0)
    assert is_right(cache.fetch(KEY, never), 0)


def test_a_failure_of_making_is_the_callers(cache: Cache) -> None:
    with pytest.raises(AssertionError, match="without need"):
        cache.fetch(KEY, never)
    assert not cache.folder.exists()


def test_facts_that_json_cannot_say_are_refused(cache: Cache) -> None:
    with pytest.raises(TypeError):
        cache.fetch(KEY, lambda: PreparedCase(case(0).image, None, {"where": object()}))


def test_where_nothing_can_be_written_cases_are_made_each_time(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = Cache(tmp_path / "file" / "cache", MB)
    make = Making()
    with pytest.warns(RuntimeWarning, match=r"cannot be kept here .* UNIFOCAL_CACHE") as caught:
        assert is_right(cache.fetch(KEY, make), 0)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert is_right(cache.fetch(KEY, make), 0)
        assert is_right(pickle.loads(pickle.dumps(cache)).fetch(KEYS[1], lambda: case(1)), 1)
    assert make.times == 2
    assert (cache.size_bytes(), cache.prune()) == (0, 0)


def test_a_full_disk_leaves_no_half_file(cache: Cache) -> None:
    cache.fetch(KEYS[1], lambda: case(1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
    try:
        with pytest.warns(RuntimeWarning, match="cannot be kept"):
            found = cache.fetch(KEY, Making())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert is_right(found, 0)
    assert file_of(cache).name.startswith(KEYS[1])
    assert not list(cache.folder.rglob("*.partial"))


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_folder_is_still_read(cache: Cache) -> None:
    cache.fetch(KEY, Making())
    os.utime(file_of(cache), (0, 0))
    folders = [cache.folder, file_of(cache).parent]
    for folder in folders:
        folder.chmod(0o500)
    try:
        assert is_right(cache.fetch(KEY, never), 0)
        with pytest.warns(RuntimeWarning, match="cannot be kept"):
            assert is_right(cache.fetch(KEYS[1], lambda: case(1)), 1)
    finally:
        for folder in folders:
            folder.chmod(0o700)


def test_a_hit_needs_no_right_to_touch(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.fetch(KEY, Making())
    os.utime(file_of(cache), (0, 0))

    def refuse(*_: object) -> NoReturn:
        raise PermissionError

    monkeypatch.setattr(os, "utime", refuse)
    assert is_right(cache.fetch(KEY, never), 0)


def test_a_hit_marks_the_time_of_use_once_a_minute(cache: Cache) -> None:
    cache.fetch(KEY, Making())
    now = time.time()
    for age, touched in ((30, False), (90, True)):
        os.utime(file_of(cache), (now - age, now - age))
        cache.fetch(KEY, never)
        assert (abs(file_of(cache).stat().st_mtime - now) < 10) == touched


def test_folders_are_the_owners_alone(cache: Cache, tmp_path: Path) -> None:
    cache.fetch(KEY, Making())
    for folder in (cache.folder, file_of(cache).parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o750)
    Cache(shared, MB).fetch(KEY, Making())
    assert stat.S_IMODE((shared / KEY[:2]).stat().st_mode) == 0o750


def test_other_processes_get_the_same_cache(cache: Cache) -> None:
    cache.fetch(KEY, Making())
    sent = pickle.loads(pickle.dumps(cache))
    assert (sent.folder, sent.limit_bytes) == (cache.folder, cache.limit_bytes)
    assert is_right(sent.fetch(KEY, never), 0)


@pytest.mark.parametrize("key", ["", "../../etc/passwd", "ABCDEF0123", "0123456", KEY + "/", KEY + "\n"])
def test_keys_are_no_paths(cache: Cache, key: str) -> None:
    with pytest.raises(ValueError, match="not a key"):
        cache.fetch(key, never)


PARTS = st.lists(st.text(max_size=3), max_size=4)


@given(PARTS, PARTS, st.text(max_size=2), st.text(max_size=2))
def test_keys_differ_where_content_or_pipeline_do(one: list[str], other: list[str], first: str, second: str) -> None:
    same = one == other and first == second
    assert (Cache.key(*one, pipeline=first) == Cache.key(*other, pipeline=second)) == same


def test_a_fingerprint_is_of_content_alone(tmp_path: Path) -> None:
    one, same, other = (tmp_path / name for name in ("a.png", "b.png", "c.png"))
    for path, content in ((one, b"xy"), (same, b"xy"), (other, b"x")):
        path.write_bytes(content)
    assert fingerprint(one) == fingerprint(same) != fingerprint(other)
    assert fingerprint(one, other) != fingerprint(other, one)
    with pytest.raises(FileNotFoundError):
        fingerprint(tmp_path / "missing")


def test_the_environment_names_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UNIFOCAL_CACHE", str(tmp_path))
    assert default_folder() == tmp_path
    monkeypatch.setenv("UNIFOCAL_CACHE", "")
    assert default_folder().name == "unifocal"


@pytest.mark.parametrize(
    ("text", "size"), [("20 GB", 20 * 10**9), ("1.5 GiB", 3 * 2**29), (" 500mb ", 5 * 10**8), ("0", 0), ("12", 12)]
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "much", "-5 GB", "20 apples", "GB", "inf"])
def test_what_is_no_size_is_said_in_plain_words(text: str) -> None:
    with pytest.raises(InputError, match=r"is no size\. Write a number and a unit"):
        parse_bytes(text)
