"""Prepared cases that stay on the device that trains."""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unifocal.training.patches import Patches
from unifocal.training.samples import Cases, Samples

_IMAGE_BYTES, _CLASS_BYTES = 4, 1


def keep_on(device: torch.device, samples: Cases, room: int | None = None) -> Cases:
    """The same samples, of cases that stay in the memory of a device once they were needed there.

    Patches are cut there, too. Cases beyond the room are read anew each time, as they were before.

    Args:
        device: That trains.
        samples: All prepared cases.
        room: Bytes; None: half of what is free now.
    """
    assert isinstance(samples, Samples | Patches)
    return replace(samples, fetch=_Kept(samples.fetch, device, room_on(device) if room is None else room))


def room_on(device: torch.device) -> int:
    """Half of the memory that is free on a device, in bytes; no end of it where that cannot be known."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] // 2
    if "SC_AVPHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return 1 << 62


class _Kept:
    def __init__(self, fetch: Callable[[int], Any], device: torch.device, room: int) -> None:
        self.fetch = fetch
        self.device = device
        self.room = room
        self.kept: dict[int, tuple[Tensor, Tensor]] = {}

    def __call__(self, case: int) -> Any:
        """Image and class indices: tensors on the device, or what was fetched where there is no room for them."""
        if case in self.kept:
            return self.kept[case]
        image, classes = self.fetch(case)
        size = _IMAGE_BYTES * int(np.prod(image.shape)) + _CLASS_BYTES * int(np.prod(classes.shape))
        if size > self.room:
            return image, classes
        self.room -= size
        # Indexed, as parts of what the cache holds are read where they are asked for; copied, as it is read only.
        whole = torch.tensor(np.asarray(image[...], np.float32)), torch.tensor(np.asarray(classes[...]))
        self.kept[case] = whole[0].to(self.device), whole[1].to(self.device)
        return self.kept[case]
