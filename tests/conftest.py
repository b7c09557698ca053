"""What all tests share."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

# A shared machine stalls now and then; a slow example is no failure.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

# Several test processes with several threads each would only wait for one another.
torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Prepared cases of tests stay among the tests' files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNIFOCAL_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
