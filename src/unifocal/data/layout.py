"""Where a data set's files are."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, Unpack

from unifocal.data.layouts.items import holds_items
from unifocal.data.layouts.listing import check_folder, files_in, folders_in, is_file
from unifocal.data.layouts.listing import is_folder as folder_is_there
from unifocal.data.pairing import PairBy
from unifocal.data.table import column_like, read_header
from unifocal.problems import InputError, Problem, bad_input, raise_if_any

IMAGE_FOLDERS = frozenset({"images", "image", "img", "imgs", "original", "originals", "scans", "slices"})
MASK_FOLDERS = frozenset(
    {"masks", "mask", "labels", "label", "ground truth", "ground_truth", "groundtruth", "gt", "annotations",
     "annotation", "segmentations", "segmentation", "manual", "1st_manual", "2nd_manual", "mask2"}
)  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """Where images and masks are, and how they belong together.

    Attributes:
        images: The images' folder.
        masks: The masks' folder (with `pair_by="suffix"` it may be the images' own); None for images alone.
        pair_by: See `pairing.pair_files`.
        mask_suffix: What a mask's stem has after the image's, with `pair_by="suffix"`.
        cases_table: A CSV file with a row per image, or None.
        case_column: The table's column that names the image; None means `case`, or else the first.
        patient_column: The table's column that names the patient; None means `patient` where there is one.
        patient_pattern: A regular expression that finds the patient in an image's stem: its group
            `patient`, else its first group, else all that it matches. It goes before the table's column.
        spacing_mm: Distance of pixel centres, (row, column) or (slice, row, column), for images whose spacing the
            table does not say.
        mask_threshold: Mask values from here on are foreground; None where they are 0/1, 0/255 or labels.
    """

    images: Path
    masks: Path | None = None
    pair_by: PairBy = "stem"
    mask_suffix: str = "_mask"
    cases_table: Path | None = None
    case_column: str | None = None
    patient_column: str | None = None
    patient_pattern: str | None = None
    spacing_mm: tuple[float, ...] | None = None
    mask_threshold: int | None = None


class LayoutOptions(TypedDict, total=False):
    """The attributes of `Layout` that need no search."""

    pair_by: PairBy
    mask_suffix: str
    case_column: str | None
    patient_column: str | None
    patient_pattern: str | None
    spacing_mm: tuple[float, ...] | None
    mask_threshold: int | None


def find_layout(
    data: Path | None,
    *,
    images: Path | None = None,
    masks: Path | None = None,
    cases_table: Path | None = None,
    with_masks: bool = True,
    **options: Unpack[LayoutOptions],
) -> Layout:
    """Find the folders of images and masks, and the table of cases.

    What is not named is searched in `data` (and its subfolders) under the usual names: `images`, `img`, `Original`,
    ...; `masks`, `labels`, `Ground Truth`, ...; and a `.csv` file with a column of patients (or one called
    `cases.csv`), in `data` or else beside the images' folder.

    Args:
        data: The data set's folder; may be left out where `images` is given.
        images: The images' folder, from `data` or from the working directory.
        masks: The masks' folder, likewise.
        cases_table: The table, likewise.
        with_masks: Whether masks are needed; without, only what is named is used of masks and table.
        **options: The other attributes of `Layout`.

    Raises:
        InputError: If something named does not exist, or what was not named is not found or not
            found just once; with what is there and what to give.
    """
    if data is None and images is None:
        raise bad_input("--data", "no folder was named", "Give --data, or --images and --masks.", kind="nothing-found")
    if data is not None:
        check_folder(data, "--data")
    problems: list[Problem] = []
    found_images = _found(problems, "--images", data, images, IMAGE_FOLDERS)
    found_masks = None
    shares_folder = options.get("pair_by") == "suffix" and masks is None and not _usual(data, MASK_FOLDERS)
    if shares_folder and with_masks:
        found_masks = found_images
    elif with_masks or masks is not None:
        found_masks = _found(problems, "--masks", data, masks, MASK_FOLDERS)
    table = _named(problems, "--cases", data, cases_table, is_folder=False)
    raise_if_any(problems)
    assert found_images is not None
    if found_masks is not None and found_masks.samefile(found_images):
        found_masks = found_images
        if options.get("pair_by") != "suffix":
            what = "is the folder of both images and masks"
            raise bad_input(str(found_images), what, "Give --pair-by suffix.", kind="nothing-found")
    if table is None and with_masks:
        column = None if options.get("patient_pattern") else options.get("patient_column")
        table = usual_table(data or found_images.parent, column)
    return Layout(images=found_images, masks=found_masks, cases_table=table, **options)


def contents(folder: Path) -> str:
    """What a folder holds, in a few words, for messages."""
    names = sorted([path.name for path in files_in(folder)] + [f"{path.name}/" for path in folders_in(folder)])
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    return f"it holds {shown}" if names else "it is empty"


def _found(
    problems: list[Problem], flag: str, data: Path | None, named: Path | None, usual: frozenset[str]
) -> Path | None:
    if named is not None:
        return _named(problems, flag, data, named, is_folder=True)
    if data is None:
        problems.append(Problem(flag, "no folder was named", f"Give {flag}.", "nothing-found"))
        return None
    kind = flag.removeprefix("--")
    candidates = _usual(data, usual)
    if not candidates and usual is IMAGE_FOLDERS and holds_items(data, below=False):
        candidates = [data]
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        names = ", ".join(str(path.relative_to(data)) for path in candidates)
        what = f"several folders could be the {kind}: {names}"
    else:
        what = f"no folder of {kind} was found; {contents(data)}"
    problems.append(Problem(str(data), what, f"Give {flag} with the name of the folder.", "nothing-found"))
    return None


def _named(
    problems: list[Problem], flag: str, data: Path | None, named: Path | None, *, is_folder: bool
) -> Path | None:
    if named is None:
        return None
    there = folder_is_there if is_folder else is_file
    candidates = [named] if data is None else [data / named, named]
    for path in candidates:
        if there(path):
            return path
    around = f"; {contents(data)}" if data is not None else ""
    what = f"there is no such {'folder' if is_folder else 'file'}{around}"
    remedy = f"Check {flag}: it counts from --data or from where you are."
    problems.append(Problem(f"{flag} {named}", what, remedy, "folder-missing" if is_folder else "file-missing"))
    return None


def _usual(data: Path | None, names: frozenset[str]) -> list[Path]:
    """Folders of a usual name that hold images: those directly in `data`, else those one folder deeper."""
    if data is None:
        return []
    level = folders_in(data)
    for _ in range(2):
        filled = [path for path in level if path.name.lower() in names and holds_items(path)]
        if filled:
            return sorted(filled)
        level = [inner for path in level for inner in _readable_folders(path)]
    return []


def _readable_folders(folder: Path) -> list[Path]:
    try:
        return folders_in(folder)
    except InputError:
        return []


def usual_table(folder: Path, patient_column: str | None) -> Path | None:
    """The table of cases in a folder: the `.csv` file with a column of patients, or one called `cases.csv`.

    Args:
        folder: Where to look.
        patient_column: What the column is called; None: `patient`.

    Raises:
        InputError: If several could be it, or none has the column that was named.
    """
    tables = sorted(path for path in files_in(folder) if path.suffix.lower() == ".csv")
    if patient_column is not None:
        fitting = [path for path in tables if patient_column in _columns(path)]
    else:
        fitting = [path for path in tables if column_like("patient", _columns(path))]
    usual = [path for path in fitting or tables if path.name.lower() == "cases.csv"]
    if usual:
        return usual[0]
    if len(fitting) > 1:
        names = ", ".join(path.name for path in fitting)
        raise bad_input(
            str(folder),
            f"several tables could be that of the cases: {names}",
            "Name it with --cases.",
            kind="table-ambiguous",
        )
    if not fitting and patient_column is not None:
        what = f"no table (.csv) with a column {patient_column!r} was found; {contents(folder)}"
        remedy = "Check --patient-column, or name the table with --cases."
        raise bad_input(str(folder), what, remedy, kind="table-missing")
    return fitting[0] if fitting else None


def _columns(path: Path) -> tuple[str, ...]:
    try:
        return read_header(path)
    except InputError:
        return ()
