"""Studies on a Ray cluster of two machines, which are processes here, and one of which is lost."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pool_work import Heard, Scripted
from study_tasks import TINY

from unifocal.config.sections import ComputeConfig
from unifocal.experiments.pool import execute_all
from unifocal.problems import InputError

pytest.importorskip("ray")

Call = Callable[..., tuple[int, str, str]]

# Ray leaves the files and sockets of its processes to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
]

NODE = {"num_cpus": 1, "object_store_memory": 100_000_000, "node_ip_address": "127.0.0.1"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head, to which tests add machines; all on the loopback interface."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
        from ray._private import ray_constants

        # Else Ray takes 127.0.0.1 in an address for this machine's address in its network.
        patch.setattr(ray_constants, "ENABLE_RAY_CLUSTER", False)
        import ray
        from ray.cluster_utils import Cluster

        assert not ray.is_initialized()
        cluster = Cluster(initialize_head=True, head_node_args=NODE | {"include_dashboard": False})
        try:
            yield cluster
        finally:
            ray.shutdown()
            cluster.shutdown()


@pytest.fixture
def compute(cluster: Any) -> ComputeConfig:
    return ComputeConfig(ray_address=cluster.address, attempts=2)


def wait_until(is_so: Callable[[], bool], seconds: float = 240.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_machine_lost_in_mid_study_changes_nothing(
    cluster: Any, phantom: Path, tmp_path: Path, unifocal: Call, no_report: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unifocal.experiments.on_ray import runs

    arguments = ("compare", "--data", phantom, *TINY, "--losses", "bce,unified_focal", "--epochs", "20")
    assert unifocal(*arguments, "--jobs", "1", "--out", tmp_path / "here")[0] == 0
    errors: list[str] = []
    outcome = runs._outcome

    def watch(reference: Any) -> Any:
        found = outcome(reference)
        if isinstance(found, Exception):
            errors.append(type(found).__name__)
        return found

    monkeypatch.setattr(runs, "_outcome", watch)
    other = cluster.add_node(**NODE)

    def lose() -> None:
        wait_until(lambda: len(list((tmp_path / "s").glob("runs/*/*/state.ckpt"))) == 2)
        cluster.remove_node(other, allow_graceful=False)

    killer = threading.Thread(target=lose)
    killer.start()
    code, _, err = unifocal(
        *arguments, "--jobs", "2", "--out", tmp_path / "s", "--set", f"compute.ray_address={cluster.address}"
    )
    killer.join()
    assert code == 0, err
    assert errors
    for name in ("scores.csv", "probabilities.csv.gz"):
        assert (tmp_path / "s" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()


def test_whoever_dies_is_tried_again_or_recorded_as_failed(compute: ComputeConfig, tmp_path: Path) -> None:
    work = [
        Scripted(tmp_path, "good", epochs=2),
        Scripted(tmp_path, "killed-once", deaths=1),
        Scripted(tmp_path, "killed-always", deaths=99),
    ]
    heard = Heard()
    records = {record["name"]: record for _, record in execute_all(work, jobs=0, compute=compute, reporter=heard)}
    assert {name: record["status"] for name, record in records.items()} == {
        "good": "done", "killed-once": "done", "killed-always": "failed",
    }  # fmt: skip
    assert "2 times" in records["killed-always"]["reason"]
    assert [each.begun for each in work] == [1, 2, 2]
    assert heard.epochs == [("good", 0), ("good", 1)]


def test_whoever_stops_listening_ends_the_tasks(compute: ComputeConfig, tmp_path: Path) -> None:
    work = [Scripted(tmp_path, "quick"), Scripted(tmp_path, "endless", seconds=600)]
    records = execute_all(work, jobs=0, compute=compute, reporter=Heard())
    assert next(records)[0] == 0
    wait_until(lambda: work[1].begun == 1)
    pid = int((work[1].folder / "begun-0").read_text())
    records.close()  # type: ignore[attr-defined]
    wait_until(lambda: not Path(f"/proc/{pid}").exists())


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"ray_address": "127.0.0.1:1"}, "no Ray cluster answers"),
        ({"ray_address": "somewhere"}, "is no address"),
        ({"gpus_per_run": 1.5}, "whole number"),
    ],
)
def test_a_cluster_that_cannot_be_had_is_told(settings: dict[str, Any], told: str) -> None:
    from unifocal.experiments.on_ray import cluster as door

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ray.is_initialized", lambda: False)
        with pytest.raises(InputError, match=told):
            door.join(ComputeConfig(**settings))


def test_without_ray_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from unifocal.experiments.on_ray import cluster as door

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"unifocal\[all\]"):
        door.join(ComputeConfig(ray_address="local"))
