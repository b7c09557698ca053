"""Prepared cases that stay on the device that trains."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unifocal.training.patches import Patches
from unifocal.training.samples import Cases, Samples

_IMAGE_BYTES, _CLASS_BYTES = 4, 1

HasRoom = Callable[[int, int], bool]
"""Whether there is room for one more case: of the bytes that are kept, and of its own."""


@contextmanager
def kept_on(device: torch.device, samples: Cases, has_room: HasRoom | None = None) -> Iterator[Cases]:
    """The same samples, of cases that meanwhile stay in the memory of a device once they were needed there.

    Patches are cut there, too. Cases for which there is no room are read anew each time.

    Args:
        device: That trains.
        samples: All prepared cases.
        has_room: None: as long as a quarter of a GPU's memory stays free, whoever uses the rest; and up to a quarter
            of this machine's for a processor.
    """
    assert isinstance(samples, Samples | Patches)
    kept = _Kept(samples.fetch, device, has_room or _room_on(device))
    try:
        yield replace(samples, fetch=kept)
    finally:
        # Loops of references hold the loaders, and with them the cases, until Python happens to look for such.
        kept.cases.clear()
        if device.type == "cuda":
            torch.cuda.empty_cache()


def _room_on(device: torch.device) -> HasRoom:
    def on_gpu(_kept: int, size: int) -> bool:
        free, total = torch.cuda.mem_get_info(device)
        return free - size >= total // 4

    def on_processor(kept: int, size: int) -> bool:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 1 << 62
        return kept + size <= memory // 4

    return on_gpu if device.type == "cuda" else on_processor


class _Kept:
    def __init__(self, fetch: Callable[[int], Any], device: torch.device, has_room: HasRoom) -> None:
        self.fetch = fetch
        self.device = device
        self.has_room = has_room
        self.size = 0
        self.cases: dict[int, tuple[Tensor, Tensor]] = {}

    def __call__(self, case: int) -> Any:
        """Image and class indices: tensors on the device, or what was fetched where there is no room for them."""
        if case in self.cases:
            return self.cases[case]
        image, classes = self.fetch(case)
        size = _IMAGE_BYTES * int(np.prod(image.shape)) + _CLASS_BYTES * int(np.prod(classes.shape))
        if not self.has_room(self.size, size):
            return image, classes
        self.size += size
        # Indexed, as parts of what the cache holds are read where they are asked for; copied, as it is read only.
        whole = torch.tensor(np.asarray(image[...], np.float32)), torch.tensor(np.asarray(classes[...]))
        self.cases[case] = whole[0].to(self.device), whole[1].to(self.device)
        return self.cases[case]
