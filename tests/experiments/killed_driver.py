"""A study's own process, forked from one that has imported everything, so that many can be killed in little time."""

import faulthandler
import os
import signal
import tempfile
import time
from contextlib import suppress
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from unifocal.data.child import Context

PRELOAD = ("unifocal.cli.app", "unifocal.cli.show", "unifocal.experiments.compare", "unifocal.experiments.processes")
_TRACES = "UNIFOCAL_TEST_TRACES"
if _TRACES in os.environ:  # in the server, whose processes inherit it
    faulthandler.register(signal.SIGUSR1, file=Path(os.environ[_TRACES]).open("a", encoding="utf-8"))  # noqa: SIM115


def run_study(arguments: tuple[str, ...], address: str) -> None:
    """The command line, without its report, which takes seconds.

    Args:
        arguments: Of the command line.
        address: Of the server that this process was forked from, which is to fork the workers as well.
    """
    from unifocal.cli.app import run
    from unifocal.experiments import conclude

    server = forkserver._forkserver
    server._forkserver_address = address
    server.ensure_running = server._stop = lambda: None
    quiet = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(quiet, stream)
    conclude.write_report = lambda folder, _analysis: folder / "report.html"
    os._exit(run(list(arguments)))


class Nursery:
    """Starts studies; they and their workers are all children of one process, which is how they are found."""

    def __enter__(self) -> "Nursery":
        self._stop()
        self.traces = Path(tempfile.mkstemp(suffix=".traces")[1])
        self.context = Context()
        self.context.set_forkserver_preload([__name__, *PRELOAD])
        self._ensure_running()
        return self

    def __exit__(self, *_: object) -> None:
        for pid in self.children():
            self.kill(pid)
        self._stop()
        self.traces.unlink()

    def _ensure_running(self) -> None:
        """The server, which dies with an error where a study is killed while it asks for a process."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(_TRACES, str(self.traces))
            patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
            forkserver.ensure_running()

    def start(self, arguments: tuple[str, ...]) -> BaseProcess:
        self._ensure_running()
        process = self.context.Process(target=run_study, args=(arguments, forkserver._forkserver._forkserver_address))
        process.start()
        return process

    def children(self) -> list[int]:
        """Process ids of studies and workers that are alive."""
        server = forkserver._forkserver._forkserver_pid
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if int(parent) == server and state != "Z":
                found.append(int(stat.parent.name))
        return found

    @staticmethod
    def kill(pid: int) -> bool:
        """Whether it was there to be killed: it may have ended since it was found."""
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def tell(self) -> str:
        """What each process is at, the server as well."""
        pids = [forkserver._forkserver._forkserver_pid, *self.children()]
        for pid in pids:
            with self.traces.open("a", encoding="utf-8") as file:
                file.write(f"\nProcess {pid}\n")
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGUSR1)
            time.sleep(1)
        return self.traces.read_text(encoding="utf-8")

    @staticmethod
    def _stop() -> None:
        forkserver._forkserver._stop()
