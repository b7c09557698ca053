"""The notebooks run from top to bottom, and are kept as they ran."""

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "docs" / "notebooks").glob("*.ipynb"))
QUICK = {"EPOCHS": "1", "SIZE": "32", "PATIENTS": "6"}


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]


def code_of(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_notebooks() -> None:
    assert len(NOTEBOOKS) >= 2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_as_it_ran(path: Path) -> None:
    cells = code_of(read(path))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), "run `make notebooks`"
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    assert [output for output in outputs if "image/png" in output.get("data", {})], "no figure"
    assert path.stat().st_size < 1_000_000
    assert str(Path.home()) not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one epoch on small images: whether it runs, not what comes out."""
    notebook = read(path)
    (parameters,) = [cell for cell in code_of(notebook) if "parameters" in cell.metadata.get("tags", [])]
    lines = [line.partition(" = ") for line in parameters.source.splitlines()]
    assert set(QUICK) <= {name for name, _, _ in lines}
    parameters.source = "\n".join(f"{name} = {QUICK.get(name, value)}" for name, _, value in lines)
    resources = {"metadata": {"path": str(tmp_path)}}
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # tests run side by side
    client.execute()
    for cell in code_of(notebook):
        for output in cell.outputs:
            assert output.get("name") != "stderr", output.text
