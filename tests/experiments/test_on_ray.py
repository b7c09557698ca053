"""Studies on a Ray cluster of two machines, which are processes here, and one of which is lost."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pool_work import Heard, Scripted, epoch
from study_tasks import TINY

from unifocal.config.sections import ComputeConfig
from unifocal.experiments.pool import execute_all
from unifocal.problems import InputError
from unifocal.training.records import EpochRecord

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
def cluster(patient_ray: None) -> Iterator[Any]:
    """A head, to which tests add machines; all on the loopback interface."""
    with pytest.MonkeyPatch.context() as patch:
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


def wait_until(is_so: Callable[[], bool], seconds: float = 600.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_machine_lost_in_mid_study_changes_nothing(
    cluster: Any,
    compute: ComputeConfig,
    phantom: Path,
    tmp_path: Path,
    unifocal: Call,
    no_report: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    from unifocal.experiments.on_ray import cluster as door
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
    door.join(compute)
    head = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    guest = ray.remote(Heard).options(num_cpus=1, scheduling_strategy=head).remote()
    ray.get(guest.say.remote("the head's core is taken, so all runs go to the other machine"))
    other = cluster.add_node(**NODE | {"num_cpus": 2})

    def lose() -> None:
        try:
            wait_until(lambda: any((tmp_path / "s").glob("runs/*/*/state.ckpt")))
        finally:
            cluster.remove_node(other, allow_graceful=False)
            ray.kill(guest)

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
        Scripted(tmp_path, "slow-but-goes-on", deaths=2, epochs=1),
    ]
    heard = Heard()
    records = {record["name"]: record for _, record in execute_all(work, jobs=0, compute=compute, reporter=heard)}
    assert {name: record["status"] for name, record in records.items()} == {
        "good": "done", "killed-once": "done", "killed-always": "failed", "slow-but-goes-on": "done",
    }  # fmt: skip
    assert "2 times" in records["killed-always"]["reason"]
    assert [each.begun for each in work] == [1, 2, 2, 3]
    assert sorted(heard.epochs) == [("good", 0), ("good", 1), *[("slow-but-goes-on", 0)] * 3]


def test_no_epoch_is_lost_with_a_board_that_is_late_or_dies(
    compute: ComputeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process begins late, answers late and dies; the work's process is given to other work, which kills it."""
    from unifocal.experiments.on_ray import board, runs

    class Frail(board.Board):
        def __init__(self) -> None:
            super().__init__()
            time.sleep(3.0)

        def read(self, told: Mapping[int, int]) -> dict[int, list[EpochRecord]]:
            found = super().read(told)
            if any(found.values()) and is_first("late"):
                time.sleep(3.0)
            return found

        def pin(self, attempt: int, first: int, records: Sequence[EpochRecord]) -> int:
            if first == 2 and is_first("dead"):
                os.kill(os.getpid(), signal.SIGKILL)
            return super().pin(attempt, first, records)

    def is_first(what: str) -> bool:
        before = (tmp_path / what).exists()
        (tmp_path / what).touch()
        return not before

    def read(actor: Any, told: Mapping[int, int]) -> dict[int, list[EpochRecord]] | None:
        found = board.read(actor, told)
        if found is None:
            monkeypatch.setattr(board, "_PATIENCE_S", 600.0)
        return found

    monkeypatch.setattr(board, "Board", Frail)
    monkeypatch.setattr(board, "_PATIENCE_S", 2.0)
    monkeypatch.setattr(runs, "read", read)
    work = [Scripted(tmp_path, "good", epochs=4), Scripted(tmp_path, "killed", deaths=1, epochs=1)]
    heard = Heard()
    assert len(list(execute_all(work, jobs=1, compute=compute, reporter=heard))) == 2
    assert heard.epochs == [*[("good", number) for number in range(4)], ("killed", 0), ("killed", 0)]
    assert (tmp_path / "late").exists()
    assert (tmp_path / "dead").exists()


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=20), st.integers(0, 8))
def test_a_board_keeps_each_epoch_once_and_without_gaps(sent: list[tuple[int, int]], told: int) -> None:
    from unifocal.experiments.on_ray.board import Board

    board, known = Board(), 0
    for first, last in sent:
        if first <= last:
            if first <= known:
                known = max(known, last)
            assert board.pin(7, first, [epoch(number) for number in range(first, last)]) == known
    assert [record.epoch for record in board.read({7: told})[7]] == list(range(told, known))
    assert board.read({8: 2, 9: 0}) == {8: [], 9: []}
    assert board.read({7: 0}) == {7: []}, "what is over is forgotten"


def test_where_ray_starts_no_process_that_is_told(
    compute: ComputeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unifocal.experiments.on_ray import board
    from unifocal.experiments.on_ray import cluster as door

    monkeypatch.setattr(board, "_START_S", 0.0)
    work = [Scripted(tmp_path, "good")]
    with pytest.raises(door.RayFailedError, match="starts no process"):
        list(execute_all(work, jobs=1, compute=compute, reporter=Heard()))
    assert not work[0].begun


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
