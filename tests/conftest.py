"""What all tests share."""

import os
from collections.abc import Iterator

# Several test processes with several threads each would only wait for one another; so would what they start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from hypothesis import settings

# A shared machine stalls now and then; a slow example is no failure. The examples are the same in every run;
# HYPOTHESIS_PROFILE=explore draws new ones.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Prepared cases of tests stay among the tests' files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNIFOCAL_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """A test's random tensors are the same in every run; pytest-randomly seeds the other generators."""
    torch.manual_seed(0)


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing the report takes seconds; this is for tests of what stands before it."""
    from unifocal.experiments import conclude

    monkeypatch.setattr(conclude, "write_report", lambda folder, _analysis: folder / "report.html")
