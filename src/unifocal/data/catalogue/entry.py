"""What the catalogue says of one data set."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unifocal.data.case import Reading
from unifocal.data.layouts.options import Option


@dataclass(frozen=True)
class Entry:
    """A public data set: whose it is, how to get it, and how its release is read.

    Attributes:
        name: For `--layout`, in snake case.
        title: As its owners call it.
        task: What is segmented in what.
        modality: How the images were taken.
        size: What the release holds.
        obtain: How to get it, from its owners.
        licence: As its owners state it; `not stated` where they do not.
        citation: The publications that its owners ask to be cited, with DOIs.
        split: The published split, as text.
        files: The files of the release that are read, one pattern a line.
        notes: What a user should know before believing results on it.
        options: What can be chosen, by name.
        recognises: Whether a folder is this release, by its files' names alone.
        read: The cases of such a folder, those without a mask included.
    """

    name: str
    title: str
    task: str
    modality: str
    size: str
    obtain: str
    licence: str
    citation: str
    split: str
    files: tuple[str, ...]
    recognises: Callable[[Path], bool]
    read: Callable[[Path, Mapping[str, Any]], Reading]
    notes: tuple[str, ...] = ()
    options: Mapping[str, Option] = field(default_factory=dict)
