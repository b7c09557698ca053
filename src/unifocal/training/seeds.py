"""Random seeds for each purpose, from the study's seed."""

import hashlib


def derive_seed(*parts: int | str) -> int:
    """A seed for one purpose, for instance `derive_seed(seed, fold, "weights")`.

    The parts are hashed, so that neighbouring seeds and purposes share nothing. It depends on nothing else: not on
    the loss, so that every loss meets the same weights and batches; not on what ran before, so that a continued run
    goes on as the undisturbed one does.

    Returns:
        An integer in [0, 2**32).
    """
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:4], "big")
