"""SimpleITK, loaded when it is needed and kept from printing."""

from importlib import import_module
from pathlib import Path
from typing import Any


def read_with_itk(path: Path, image_io: str) -> tuple[Any, Any]:
    """Read a file by one of ITK's readers, whatever its extension.

    Args:
        path: The file.
        image_io: ITK's name for the reader, such as `NrrdImageIO`.

    Returns:
        The SimpleITK image, and its array: slowest axis first, components last.

    Raises:
        RuntimeError: If ITK cannot read it.
    """
    itk: Any = import_module("SimpleITK")
    itk.ProcessObject.GlobalWarningDisplayOff()
    image = itk.ReadImage(str(path), imageIO=image_io)
    return image, itk.GetArrayFromImage(image)
