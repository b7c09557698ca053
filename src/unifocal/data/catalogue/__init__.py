"""The catalogue: one small file for each public data set that can be read as its owners release it."""

from functools import cache
from importlib import import_module
from pathlib import Path

from unifocal.data.catalogue.entry import Entry
from unifocal.problems import InputError

__all__ = ["Entry", "entries", "entry", "recognise"]

_MODULES = (
    "brain_tumours_focal",
    "brats20",
    "bus2017",
    "busi",
    "cheng_brain_tumours",
    "cvc_clinicdb",
    "drive",
    "kits19",
)


@cache
def entries() -> tuple[Entry, ...]:
    """Every data set of the catalogue, in the order of their names."""
    return tuple(import_module(f"{__name__}.{module}").ENTRY for module in _MODULES)


def entry(name: str) -> Entry:
    """The data set of that name.

    Raises:
        KeyError: If there is none.
    """
    return {each.name: each for each in entries()}[name]


def recognise(folder: Path) -> tuple[Entry, ...]:
    """The data sets whose release the folder looks like, by the names in it; no file of the images is opened."""
    return tuple(each for each in entries() if _recognises(each, folder))


def _recognises(each: Entry, folder: Path) -> bool:
    try:
        return each.recognises(folder)
    except InputError:
        return False
