"""Studies small enough for tests."""

from collections.abc import Callable
from pathlib import Path

import pytest

from unifocal.data.phantom import write_phantom


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom") / "data"
    write_phantom(folder, patients=6, seed=3, size=48)
    return folder


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing the report takes seconds; this is for tests of what stands before it."""
    from unifocal.experiments import conclude

    monkeypatch.setattr(conclude, "write_report", lambda folder, _analysis: folder / "report.html")


@pytest.fixture
def unifocal(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in this process: exit code, standard output, standard error."""
    from unifocal.cli.app import run

    def call(*arguments: object) -> tuple[int, str, str]:
        code = run([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return code, out, err

    return call
