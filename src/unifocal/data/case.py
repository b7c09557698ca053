"""A case: one image with its mask, and whose it is; and the data set that the cases make up."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from unifocal.problems import Problem


@dataclass(frozen=True)
class Source:
    """The files that together make one array.

    Attributes:
        paths: The files, at least one.
        joined: What several files are to each other. `one`: there is a single file. `channels`: each holds one
            channel of the image. `slices`: the DICOM files of one series. `union`: masks of several objects of one
            image, all foreground.
    """

    paths: tuple[Path, ...]
    joined: Literal["one", "channels", "slices", "union"] = "one"

    @classmethod
    def of(cls, *paths: Path, joined: Literal["channels", "slices", "union"] = "channels") -> "Source":
        """The source of one file, or of several that are joined as said."""
        return cls(paths, "one" if len(paths) == 1 and joined != "slices" else joined)

    @property
    def path(self) -> Path:
        """What to name in messages: the first file, or the folder of the slices."""
        return self.paths[0].parent if self.joined == "slices" and len(self.paths) > 1 else self.paths[0]

    def __str__(self) -> str:
        return str(self.path)

    def as_text(self) -> str:
        """All of it in one cell of a table, with absolute paths; `from_text` reads it."""
        paths = "|".join(str(path.resolve()) for path in self.paths)
        return paths if self.joined == "one" else f"{self.joined}:{paths}"

    @classmethod
    def from_text(cls, text: str, folder: Path) -> "Source":
        """The source that `as_text` wrote; relative paths count from `folder`."""
        for joined in ("channels", "slices", "union"):
            if text.startswith(f"{joined}:"):
                return cls(tuple(folder / name for name in text.removeprefix(f"{joined}:").split("|")), joined)
        return cls((folder / text,))


@dataclass(frozen=True)
class Case:
    """One image and its mask.

    Attributes:
        name: Unique in the data set; names the files written for it.
        image: Where the image is.
        mask: Where the mask is; None where only the image is known (prediction).
        patient: Whose image it is. Folds are drawn over patients.
        spacing_mm: Distance between the centres of neighbouring pixels along each spatial axis, as the table or the
            user says; None leaves it to the files.
        attributes: Further columns of `cases.csv`, for instance `class`, `plane` or `site`.
        part: `training`, `validation` or `test` where the data set has an official split, else "".
        field_of_view: Where the mask of the pixels that hold an image at all is (DRIVE); None: all do.
        other_masks: Masks of the same image by other observers, by name.
    """

    name: str
    image: Source
    mask: Source | None
    patient: str
    spacing_mm: tuple[float, ...] | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    part: str = ""
    field_of_view: Source | None = None
    other_masks: Mapping[str, Source] = field(default_factory=dict)


@dataclass(frozen=True)
class Declared:
    """What a data set says of itself before any file is opened.

    Attributes:
        layout: The name of the layout or catalogue entry that read it.
        labels: Names of the mask's values, without background; empty where nothing is declared.
        keep: The values that count as foreground, each a label of its own; all others become background.
            None: all values count.
        regions: Overlapping regions by name, each the union of these values (BraTS: whole tumour, core, enhancing);
            empty where labels do not overlap.
        channels: Names of the image's channels; empty where nothing is declared.
        modality: `CT`, `MR` or another DICOM modality where declared, else "".
    """

    layout: str = "folders"
    labels: Mapping[int, str] = field(default_factory=dict)
    keep: tuple[int, ...] | None = None
    regions: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    channels: tuple[str, ...] = ()
    modality: str = ""


@dataclass(frozen=True)
class DataSet:
    """The cases, and what is known of them before their files are opened.

    Attributes:
        cases: In natural order of their names.
        patients_known: Whether a table, a pattern or the layout names the patients; otherwise every image counts as
            a patient of its own.
        declared: What the data set says of itself.
    """

    cases: tuple[Case, ...]
    patients_known: bool
    declared: Declared = field(default_factory=Declared)


@dataclass(frozen=True)
class Reading:
    """What could be found of a data set, and what could not.

    Attributes:
        dataset: The cases whose image and mask were found.
        problems: One for each fault of names, pairs and tables.
        patients: All patients that images or table name, those behind a fault included.
    """

    dataset: DataSet
    problems: tuple[Problem, ...] = ()
    patients: frozenset[str] = frozenset()
