"""`probabilities.csv.gz`: for every case, how many elements were given which probability, and how many rightly."""

import csv
import gzip
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO, TextIOWrapper
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from unifocal.metrics.probability import histogram

PROBABILITIES = "probabilities.csv.gz"
PROBABILITY_COLUMNS = (
    "loss", "fold", "seed", "case", "patient", "label", "bin", "elements", "positives", "probability_sum",
)  # fmt: skip

Rows = Iterable[Sequence[Any]]


def probability_rows(
    known: Sequence[Any],
    truth: NDArray[np.integer[Any]],
    probabilities: NDArray[np.floating[Any]],
    labels: Sequence[int],
) -> Iterator[tuple[Any, ...]]:
    """One row per label and bin that holds elements: 100 equal bins on [0, 1], the last one closed.

    Args:
        known: What stands before: loss, fold, seed, case, patient.
        truth: Labels (*spatial).
        probabilities: (channels, *spatial); the last channels are the labels', in order.
        labels: The labels.
    """
    for position, label in enumerate(labels):
        counts = histogram(truth == label, probabilities[position - len(labels)])
        for place in np.flatnonzero(counts.elements).tolist():
            total = f"{counts.probability_sum[place]:.9g}"
            yield (*known, label, place, int(counts.elements[place]), int(counts.positives[place]), total)


def csv_text(rows: Rows) -> str:
    """Rows as CSV, without a header."""
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def write_probabilities(path: Path, parts: Iterable[str]) -> None:
    """Write the table in one step; the same rows give the same bytes.

    Args:
        path: The file to write.
        parts: Lines without a header.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    # Neither the time nor the name of the file goes into it.
    with partial.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed:
        file = TextIOWrapper(packed, encoding="utf-8", newline="")
        file.write(csv_text([PROBABILITY_COLUMNS]))
        for part in parts:
            file.write(part)
        file.flush()
        file.detach()
    partial.replace(path)


def join_probabilities(out: Path, places: Sequence[Path]) -> int:
    """Put the tables of runs into one; runs of earlier versions have none.

    Args:
        out: The folder to write to. Where no run has a table, one from before is removed.
        places: The runs' folders.

    Returns:
        How many runs have a table.
    """
    tables = [place / PROBABILITIES for place in places if (place / PROBABILITIES).is_file()]
    if tables:
        write_probabilities(out / PROBABILITIES, (part for table in tables for part in _lines(table)))
    else:
        (out / PROBABILITIES).unlink(missing_ok=True)
    return len(tables)


def _lines(table: Path) -> Iterator[str]:
    with gzip.open(table, "rt", encoding="utf-8", newline="") as file:
        next(file)
        yield from pieces_of(file)


def pieces_of(file: IO[str]) -> Iterator[str]:
    """The rest of an open file, a piece at a time."""
    while piece := file.read(1 << 20):
        yield piece
