"""What other processes do to a cache while tests watch."""

import random
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from unifocal.preprocessing.cache import Cache, CachedCase, PreparedCase

KEYS = [Cache.key(str(number), pipeline="workers") for number in range(12)]


def case(number: int, side: int = 64) -> PreparedCase:
    """A case that its number decides: noise, which hardly compresses, of `side` and some more rows."""
    noise = np.random.default_rng(number)
    shape = (side + number, side)
    image = noise.normal(size=(1, *shape)).astype(np.float32)
    return PreparedCase(image, noise.integers(0, 4, shape).astype(np.uint8), {"number": number})


def is_right(found: CachedCase, number: int, side: int = 64) -> bool:
    wanted = case(number, side)
    assert found.classes is not None
    return (
        np.array_equal(found.image[...], wanted.image)
        and np.array_equal(found.classes[...], wanted.classes)
        and found.facts == {"number": number}
    )


def hammer(cache: Cache, seed: int, rounds: int) -> None:
    """Fetch at random; ends with an error where a result is wrong."""
    choice = random.Random(seed)
    for _ in range(rounds):
        number = choice.randrange(len(KEYS))
        assert is_right(cache.fetch(KEYS[number], lambda number=number: case(number)), number)


def rewrite_for_ever(cache: Cache, ready: Connection, side: int) -> None:
    """Write every case again and again, as writers of the same key do."""
    contents = [case(number, side) for number in range(len(KEYS))]
    ready.send("ready")
    while True:
        for key, content in zip(KEYS, contents, strict=True):
            Path(cache._room.path(key)).unlink(missing_ok=True)
            cache.fetch(key, lambda content=content: content)


def stall_before_renaming(cache: Cache, ready: Connection) -> None:
    """Get as far as the last step, and wait there to be killed."""

    def wait(*_: object) -> None:
        ready.send("ready")
        time.sleep(60)
        signal.raise_signal(signal.SIGKILL)

    Path.replace = wait  # type: ignore[assignment, method-assign]
    cache.fetch(KEYS[0], lambda: case(0))
