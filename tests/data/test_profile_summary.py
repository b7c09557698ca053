"""The profile of a data set, against numbers worked out from the masks themselves."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unifocal.data.case import Case, DataSet, Declared, Source
from unifocal.data.coding import MaskCoding
from unifocal.data.profile.case import FOREGROUND, Plan, Target, profile_case
from unifocal.data.profile.result import SCHEMA, Profile
from unifocal.data.profile.rows import case_rows
from unifocal.data.profile.summary import Collected, summarise

Array = np.ndarray[Any, Any]
KINDS = ("glioma", "meningioma", "glioma", "glioma", "meningioma", "glioma")


def half(labels: Array, /, *, size: tuple[int, ...]) -> Array:
    return labels[::2, ::2][: size[0], : size[1]]


def masks() -> list[Array]:
    made = []
    for index in range(6):
        mask = np.zeros((20, 20 + 2 * (index % 2)), np.uint8)
        if index != 3:
            mask[2 : 4 + index, 2:6] = 1
        if index in {1, 4}:
            mask[12:15, 12:15] = 2
        if index == 2:
            mask[17, 3:15] = 2  # only in a row that `half` drops
        if index == 4:
            mask[0, 17] = 2
        made.append(mask)
    return made


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Profile, Collected]:
    return describe(tmp_path_factory.mktemp("data"), Declared())


def describe(folder: Path, declared: Declared) -> tuple[Profile, Collected]:
    cases = []
    for index, mask in enumerate(masks()):
        image = np.random.default_rng(index).integers(0, 255, mask.shape, dtype=np.uint8)
        for name, pixels in (("i", image), ("m", mask)):
            Image.fromarray(pixels).save(folder / f"{name}{index}.png")
        sources = [Source.of(folder / f"{name}{index}.png") for name in "im"]
        spacing = (0.5, 2.0) if index != 3 else None
        part = "test" if index < 2 else "training"
        kind = {"class": KINDS[index], "id": str(index)}
        cases.append(Case(f"c{index}", sources[0], sources[1], f"p{index // 2}", spacing, kind, part))
    targets = tuple(Target(name, values) for name, values in declared.regions.items()) or (
        Target("organ", (1,)),
        Target("tumour", (2,)),
    )
    plan = Plan(MaskCoding(), targets, True, (10, 10), half)
    collected = Collected()
    for case in cases:
        collected.add(profile_case(case, plan))
    data = DataSet(tuple(cases), patients_known=True, declared=declared)
    profile = summarise(collected, name="made", dataset=data, targets=targets, training_size=(10, 10))
    return profile, collected


def test_counts(made: tuple[Profile, Collected]) -> None:
    profile, _ = made
    assert (profile.cases, profile.masks, profile.patients) == (6, 6, 3)
    assert profile.parts == {"test": 2, "training": 4}
    assert profile.geometry.sizes == {"20 x 20": 3, "20 x 22": 3}
    assert (profile.geometry.spacing_known, profile.geometry.axes) == (5, 2)
    assert profile.geometry.anisotropy is not None
    assert profile.geometry.anisotropy.maximum == 4
    assert [channel.name for channel in profile.channels] == ["grey"]
    assert not profile.overlapping


def test_shares(made: tuple[Profile, Collected]) -> None:
    profile, _ = made
    for target, wanted in zip((*profile.targets, profile.foreground), ((1,), (2,), (1, 2)), strict=True):
        shares = [float(np.isin(mask, wanted).mean()) for mask in masks()]
        elements = [int(np.isin(mask, wanted).sum()) for mask in masks()]
        holding = [mask.size for mask, number in zip(masks(), elements, strict=True) if number]
        assert target.share is not None
        assert target.share.mean == pytest.approx(np.mean(shares))
        assert target.share.median == pytest.approx(np.median(shares))
        assert target.share_where_present is not None
        assert target.share_where_present.mean == pytest.approx(np.mean([share for share in shares if share]))
        assert target.pooled_share == pytest.approx(sum(elements) / sum(mask.size for mask in masks()))
        assert target.frequency_where_present == pytest.approx(sum(elements) / sum(holding))
        assert (target.cases, target.empty) == (len(holding), 6 - len(holding))


def test_lesions_in_pixels_and_mm2(made: tuple[Profile, Collected]) -> None:
    profile, _ = made
    organ, tumour = profile.targets
    assert (organ.lesions.count, tumour.lesions.count) == (5, 4)
    assert tumour.lesions.sizes is not None
    assert (tumour.lesions.sizes.unit, tumour.lesions.sizes.mean) == ("px", pytest.approx(31 / 4))
    assert tumour.lesions.physical is not None
    assert tumour.lesions.physical.quantiles["maximum"] == 12  # pixels of 0.5 x 2 mm
    assert tumour.lesions.physical.unit == "mm2"
    assert (tumour.lesions.specks, tumour.lesions.touching_border) == (3, 1)
    # The case whose spacing is unknown has no lesion, so the sizes of all are known.
    assert organ.lesions.physical is not None


def test_resizing(made: tuple[Profile, Collected]) -> None:
    profile, _ = made
    resized = profile.targets[1].lesions.resized
    assert resized is not None
    assert (resized.vanished, resized.vanished_specks, resized.emptied) == (2, 1, 1)
    scale = 100 / 400, 100 / 440  # case 4 is 20 x 20, case 1 is 20 x 22
    sizes = [9 * scale[1], 9 * scale[0], 1 * scale[0], 12 * scale[0]]
    assert resized.smaller_than == {few: sum(size < few for size in sizes) for few in (4, 10, 25, 100)}
    assert resized.median_lesion == pytest.approx(np.median(sizes))


def test_groups_leave_out_columns_that_name_each_case(made: tuple[Profile, Collected]) -> None:
    profile, _ = made
    assert {group.attribute for group in profile.groups} == {"part", "class", "part x class"}
    glioma = next(group for group in profile.groups if group.value == "glioma")
    assert (glioma.cases, glioma.patients) == (4, 3)
    shares = [float((mask > 0).mean()) for mask, kind in zip(masks(), KINDS, strict=True) if kind == "glioma"]
    assert glioma.share is not None
    assert glioma.share.mean == pytest.approx(np.mean(shares))


def test_regions_that_overlap(tmp_path: Path) -> None:
    profile, _ = describe(tmp_path, Declared(regions={"whole": (1, 2), "tumour": (2,)}))
    assert profile.overlapping
    assert [target.name for target in profile.targets] == ["whole", "tumour"]
    assert profile.targets[0].pooled_share == profile.foreground.pooled_share
    assert profile.targets[1].pooled_share < profile.foreground.pooled_share


def test_it_is_json_with_stable_keys(made: tuple[Profile, Collected]) -> None:
    profile, collected = made
    data = json.loads(json.dumps(profile.as_data(), allow_nan=False))
    assert data["schema"] == SCHEMA == 1
    assert {
        "name", "layout", "cases", "masks", "patients", "patients_known", "cases_per_patient", "parts", "geometry",
        "channels", "overlapping", "foreground", "targets", "groups", "training_size", "brain_ratio", "method",
    } <= data.keys()  # fmt: skip
    assert {"share", "pooled_share", "empty", "lesions", "contrast"} <= data["foreground"].keys()
    again = summarise_again(collected, profile)
    assert again == profile


def summarise_again(collected: Collected, profile: Profile) -> Profile:
    data = DataSet(tuple(case.case for case in collected.cases), patients_known=True)
    targets = (Target("organ", (1,)), Target("tumour", (2,)))
    return summarise(collected, name=profile.name, dataset=data, targets=targets, training_size=(10, 10))


def test_rows_say_the_same_as_the_masks(made: tuple[Profile, Collected]) -> None:
    rows = case_rows(made[1].cases)
    assert len({tuple(row) for row in rows}) == 1
    for row, mask in zip(rows, masks(), strict=True):
        assert row["tumour:elements"] == int((mask == 2).sum())
        assert row[f"{FOREGROUND}:share"] == float((mask > 0).mean())
        assert (row["rows"], row["columns"]) == mask.shape
    assert (rows[3]["rows_spacing_mm"], rows[0]["columns_spacing_mm"]) == (None, 2.0)
    assert rows[3]["organ:channel1_auc"] is None
    assert rows[4]["attribute:class"] == "meningioma"


def test_histograms_are_kept_as_means_only(made: tuple[Profile, Collected]) -> None:
    _, collected = made
    assert all(case.outside is None for case in collected.cases)
    assert all(facts.histograms is None for case in collected.cases for facts in case.targets.values())
    for target in (None, FOREGROUND, "tumour"):
        assert math.isclose(collected.histogram(target, 0).sum(), 1)
