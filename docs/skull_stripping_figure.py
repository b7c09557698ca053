"""The contact sheet and the figures of docs/results/skull_stripping.md.

`python docs/skull_stripping_figure.py DATA`, with the folder of the brain tumour images, prints the tables and writes
the sheet to docs/images.
"""

import argparse
import csv
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from unifocal.data.phantom import phantom_slices
from unifocal.preprocessing import brain_mask
from unifocal.preprocessing.field_of_view import find_field_of_view

SHEET = Path(__file__).parent / "images" / "skull_stripping.png"
Mask = NDArray[np.bool_]
METHODS: dict[str, Callable[[NDArray[np.float32]], Mask]] = {
    "source A": lambda image: brain_mask(image, method="source_a"),
    "improved": brain_mask,
    "improved, margin 0": lambda image: brain_mask(image, margin=0),
}
TILE, GAP, TOP = 150, 4, 18
RED, PAPER, INK = (255, 70, 70), (255, 255, 255), (29, 33, 37)


@dataclass(frozen=True)
class Row:
    """One slice under one method: tumour pixels, those kept, and the share of the head that was removed."""

    case: str
    plane: str
    kind: str
    is_held_out: bool
    tumour: int
    kept: int
    removed: float


def is_held_out(patient: str) -> bool:
    """Half the patients, by a checksum of their names; the method was developed on the others."""
    return zlib.crc32(patient.encode()) % 2 == 1


def read_slice(data: Path, case: str) -> tuple[NDArray[np.uint8], Mask]:
    """A slice's grey values and its tumour."""
    grey, mask = (np.asarray(Image.open(data / part / f"{case}.png").convert("L")) for part in ("images", "masks"))
    return grey, mask > 127


def measure(data: Path) -> tuple[dict[str, list[Row]], dict[str, float]]:
    """Every slice under every method, and each method's mean time in ms."""
    rows: dict[str, list[Row]] = {name: [] for name in METHODS}
    seconds = dict.fromkeys(METHODS, 0.0)
    with (data / "cases.csv").open(encoding="utf-8") as file:
        cases = list(csv.DictReader(file))
    for one in cases:
        grey, tumour = read_slice(data, one["case"])
        image = grey[None].astype(np.float32)
        head = find_field_of_view(image)
        for name, method in METHODS.items():
            start = perf_counter()
            mask = method(image)
            seconds[name] += perf_counter() - start
            removed = float((head & ~mask).sum() / head.sum())
            kept = int((tumour & mask).sum())
            held_out = is_held_out(one["patient"])
            rows[name].append(Row(one["case"], one["plane"], one["class"], held_out, int(tumour.sum()), kept, removed))
    return rows, {name: 1000 * total / len(cases) for name, total in seconds.items()}


def real_table(rows: dict[str, list[Row]]) -> str:
    """Kept tumour pixels and removed head, by group and method."""
    groups: dict[str, Callable[[Row], bool]] = {
        "all": lambda row: row.tumour > 0,
        "developed on": lambda row: not row.is_held_out,
        "held out": lambda row: row.is_held_out,
    }
    for plane in ("axial", "coronal", "sagittal"):
        groups[plane] = lambda row, plane=plane: row.plane == plane
    for kind in ("meningioma", "glioma", "pituitary"):
        groups[kind] = lambda row, kind=kind: row.kind == kind
    lines = [
        "| slices | n | method | kept, pooled | kept, mean of slices | worst slice | head removed |",
        "|---|---:|---|---:|---:|---:|---:|",
    ]
    for group, belongs in groups.items():
        for name, of_method in rows.items():
            chosen = [row for row in of_method if belongs(row)]
            shares = [row.kept / row.tumour for row in chosen]
            pooled = sum(row.kept for row in chosen) / sum(row.tumour for row in chosen)
            values = (pooled, np.mean(shares), min(shares), np.mean([row.removed for row in chosen]))
            cells = " | ".join(f"{100 * value:.1f} %" for value in values)
            lines.append(f"| {group} | {len(chosen)} | {name} | {cells} |")
    return "\n".join(lines)


def phantom_table(size: int = 256) -> str:
    """Dice of the brain and what was removed, on the phantom's patients of the seed 0."""
    slices = list(phantom_slices(patients=24, seed=0, size=size, with_brain=True))
    lines = [
        "| method | Dice, mean | Dice, worst | axial | coronal | sagittal | skull and scalp removed |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, method in METHODS.items():
        scores, planes, removed = [], [], []
        for one in slices:
            assert one.brain is not None
            assert one.head is not None
            mask, around = method(one.image[None].astype(np.float32)), one.head & ~one.brain
            scores.append(2 * (mask & one.brain).sum() / (mask.sum() + one.brain.sum()))
            removed.append((around & ~mask).sum() / around.sum())
            planes.append(one.plane)
        by_plane = (np.mean(np.array(scores)[np.array(planes) == plane]) for plane in ("axial", "coronal", "sagittal"))
        values = " | ".join(f"{value:.3f}" for value in (np.mean(scores), min(scores), *by_plane))
        lines.append(f"| {name} | {values} | {100 * np.mean(removed):.0f} % |")
    return "\n".join(lines)


def choose(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Eight slices of each plane: the four that lost most, and four at random."""
    rng = np.random.default_rng(0)
    chosen = {}
    for plane in ("axial", "coronal", "sagittal"):
        of_plane = sorted(
            (row for row in rows if row.plane == plane), key=lambda row: (row.kept - row.tumour, row.case)
        )
        others = rng.choice(np.arange(4, len(of_plane)), 4, replace=False)
        chosen[plane] = of_plane[:4] + [of_plane[k] for k in others]
    return chosen


def contact_sheet(data: Path, rows: Sequence[Row]) -> Image.Image:
    """Per slice: the image, what source A leaves, what the improved method leaves; the tumour outlined."""
    names = ("image", "source A", "improved")
    width = 6 * (TILE + GAP) + 3 * GAP
    chosen = choose(rows)
    height = sum(TOP + 4 * (TILE + GAP + TOP) for _ in chosen)
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    top = 0
    for plane, of_plane in chosen.items():
        draw.text((2, top + 3), f"{plane}: left, the four that lost most tumour; right, four at random", INK)
        top += TOP
        for place, row in enumerate(of_plane):
            left = (place // 4) * (3 * (TILE + GAP) + 2 * GAP)
            y = top + (place % 4) * (TILE + GAP + TOP)
            share = 100 * row.kept / row.tumour
            draw.text((left + 2, y + 3), f"{row.case}, {row.kind}, {share:.0f} % of the tumour kept", INK)
            for column, tile in enumerate(tiles(data, row.case, names)):
                sheet.paste(tile, (left + column * (TILE + GAP), y + TOP))
        top += 4 * (TILE + GAP + TOP)
    return sheet


def tiles(data: Path, case: str, names: Iterable[str]) -> list[Image.Image]:
    """The slice before and after each method, cropped to the head."""
    grey, tumour = read_slice(data, case)
    image = grey[None].astype(np.float32)
    bright = np.clip(grey * (235 / max(float(np.percentile(grey[grey > 20], 95)), 1.0)), 0, 255).astype(np.uint8)
    results = []
    for name in names:
        shown = bright if name == "image" else np.where(METHODS[name](image), bright, 0).astype(np.uint8)
        small = np.asarray(Image.fromarray(shown).resize((TILE, TILE), Image.Resampling.LANCZOS))
        inside = np.asarray(Image.fromarray(tumour).resize((TILE, TILE), Image.Resampling.NEAREST))
        coloured = np.stack([small] * 3, axis=-1)
        coloured[ndimage.binary_dilation(inside) & ~ndimage.binary_erosion(inside)] = RED
        results.append(Image.fromarray(coloured))
    return results


def main() -> None:
    """Print the tables, write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    data = parser.parse_args().data
    rows, milliseconds = measure(data)
    print(real_table(rows), "\n")
    print(phantom_table(), "\n")
    print("ms per slice:", ", ".join(f"{name} {time:.0f}" for name, time in milliseconds.items()), "\n")
    worst = sorted(rows["improved"], key=lambda row: row.kept - row.tumour)[:8]
    print("lost most:", ", ".join(f"{row.case} ({row.plane}, {row.kind}) {row.tumour - row.kept} px" for row in worst))
    contact_sheet(data, rows["improved"]).quantize(96).save(SHEET, optimize=True)


if __name__ == "__main__":
    main()
