"""Files that are channels of one image, and files whose numbers count something else."""

from pathlib import Path

import pytest

from unifocal.data.case import Case, Source
from unifocal.data.channels import join_channels
from unifocal.problems import InputError


def named(*names: str) -> list[Case]:
    return [Case(name, Source.of(Path(f"{name}.png")), None, name) for name in names]


def test_numbered_slices_stay_images_of_their_own_where_one_channel_is_needed() -> None:
    slices = named("p1_0000", "p1_0001", "p1_0002", "p2_0000")
    assert join_channels(slices, 1) == tuple(slices)


def test_the_number_of_a_single_channel_is_dropped() -> None:
    joined = join_channels(named("a_0000", "b_0000"), 1)
    assert [(case.name, case.patient, case.image.path.name) for case in joined] == [
        ("a", "a", "a_0000.png"), ("b", "b", "b_0000.png"),
    ]  # fmt: skip


def test_channels_are_joined_and_missing_ones_told() -> None:
    (joined,) = join_channels(named("a_0000", "a_0001"), 2)
    assert joined.name == "a"
    assert joined.image.joined == "channels"
    with pytest.raises(InputError, match="the channels 0000, and 2 are needed"):
        join_channels(named("a_0000"), 2)
