"""Studies small enough for tests."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from unifocal.data.phantom import write_phantom


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom") / "data"
    write_phantom(folder, patients=6, seed=3, size=48)
    return folder


@pytest.fixture(scope="session")
def patient_ray() -> Iterator[None]:
    """Ray gives its processes as long as a busy machine may take; its own limits are half a minute and a minute."""
    settings = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "RAY_gcs_server_port_wait_time_s": "600",
        "RAY_worker_register_timeout_seconds": "600",
        "RAY_worker_niceness": "0",  # by default its processes wait for those of all other tests
        "RAY_memory_monitor_refresh_ms": "0",  # memory that other tests take is no reason to end this one's work
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():  # read when Ray is imported
            patch.setenv(name, value)
        services = pytest.importorskip("ray._private.services")
        get_node = services.get_node

        def wait_for_node(*arguments: Any) -> Any:
            deadline = time.monotonic() + 600
            while True:
                try:
                    return get_node(*arguments)
                except RuntimeError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.2)

        patch.setattr(services, "get_node", wait_for_node)
        yield


@pytest.fixture
def unifocal(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in this process: exit code, standard output, standard error."""
    from unifocal.cli.app import run

    def call(*arguments: object) -> tuple[int, str, str]:
        code = run([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return code, out, err

    return call
