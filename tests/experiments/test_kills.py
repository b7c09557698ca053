"""Twenty kills at random moments, of the study and of its workers: the scores are those of a study in peace."""

import random
import sys
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from killed_driver import Nursery
from study_tasks import TINY

Call = Callable[..., tuple[int, str, str]]
KILLS = 20
RUNS = 4


def wait_until(is_so: Callable[[], bool], nursery: Nursery, seconds: float = 300.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            pytest.fail(f"nothing went on for {seconds:g} s\n{nursery.tell()}")
        time.sleep(0.005)


class War:
    """Kills a study and its workers at moments that chance decides.

    Args:
        nursery: Starts the studies.
        arguments: The command without its folder.
    """

    def __init__(self, nursery: Nursery, arguments: tuple[str, ...]) -> None:
        self.nursery, self.arguments = nursery, arguments
        self.chance = random.Random(20)
        self.killed = {"study": 0, "worker": 0}

    @property
    def is_over(self) -> bool:
        return sum(self.killed.values()) == KILLS

    def start(self, folder: Path) -> BaseProcess:
        return self.nursery.start((*self.arguments, "--out", str(folder)))

    def wage(self, folder: Path) -> None:
        """The same command again and again, until there were kills enough, or the study is done in spite of them."""
        study = None
        while not self.is_over and len(list(folder.glob("runs/*/*/record.json"))) < RUNS:
            if study is None or not study.is_alive():
                study = self.start(folder)
            self._kill_one(study, folder)
        if study is not None:
            study.kill()
            study.join()
        wait_until(lambda: not self.nursery.children(), self.nursery)

    def _kill_one(self, study: BaseProcess, folder: Path) -> None:
        # On a slow machine, moments by the clock alone would all lie before the first epoch.
        if self.chance.random() < 0.8:
            since = time.time()
            wait_until(lambda: not study.is_alive() or has_moved(folder, since), self.nursery)
        time.sleep(self.chance.uniform(0.0, 0.6))
        alive = self.nursery.children()
        # As often the study as a worker, whichever of those there are.
        workers = sorted(set(alive) - {study.pid})
        victim = self.chance.choice(workers) if workers and self.chance.random() < 0.5 else study.pid
        if victim in alive and self.nursery.kill(victim):
            self.killed["study" if victim == study.pid else "worker"] += 1
        if victim == study.pid:
            study.join()


def has_moved(folder: Path, since: float) -> bool:
    """Whether an epoch was closed."""
    return any(path.stat().st_mtime > since for path in folder.glob("runs/*/*/history.csv"))


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
@pytest.mark.usefixtures("no_report")
def test_killed_twenty_times_it_ends_with_the_same_scores(phantom: Path, tmp_path: Path, unifocal: Call) -> None:
    arguments = ("compare", "--data", str(phantom), *TINY, "--losses", "bce,unified_focal", "--epochs", "12")
    assert unifocal(*arguments, "--jobs", "1", "--out", tmp_path / "peace")[0] == 0
    folders = []
    with Nursery() as nursery:
        war = War(nursery, (*arguments, "--jobs", "2", "--set", "compute.attempts=99"))
        while not war.is_over:  # too quick to be killed so often: once more in another folder
            folders.append(tmp_path / f"war-{len(folders)}")
            war.wage(folders[-1])
        for folder in folders:
            study = war.start(folder)
            wait_until(lambda study=study: not study.is_alive(), nursery)
            assert study.exitcode == 0
        wait_until(lambda: not nursery.children(), nursery)
    assert min(war.killed.values()) >= 3
    for folder in folders:
        for name in ("scores.csv", "probabilities.csv.gz", "summary.csv"):
            assert (folder / name).read_bytes() == (tmp_path / "peace" / name).read_bytes()
    assert not list(tmp_path.rglob("*.partial"))
