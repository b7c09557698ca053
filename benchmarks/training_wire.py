"""Contenders in processes of their own, which work when it is their turn: lines of JSON to and fro.

The standard library alone: Keras' environment has nothing of this project.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

Seconds = dict[str, list[float]]
"""What one turn took, by what was timed."""


def arguments(description: str | None) -> argparse.Namespace:
    """What every contender is told when its process begins."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", choices=("step", "epoch", "predict"), required=True)
    parser.add_argument("--shape", required=True, help="see `training_data.Shape`")
    parser.add_argument("--data", type=Path, required=True, help="the folder with the arrays")
    parser.add_argument("--loss", required=True)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--most", type=int, required=True, help="what all turns together will ask for")
    parser.add_argument("--on-device", action="store_true", help="our `training.on_device`")
    parser.add_argument("--channels-last", action="store_true", help="of MONAI's tensors")
    return parser.parse_args()


class Over(Exception):  # noqa: N818 - nothing went wrong
    """There are no more turns."""


class Turns:
    """The contender's end: it waits for its turn, times what it does, and answers at the end of the turn.

    From the first of these on, whatever else is printed goes to standard error.
    """

    def __init__(self) -> None:
        self._answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self._left = 0
        self._seconds: Seconds = {}
        self._started = 0.0

    def ready(self, **facts: object) -> None:
        """Say that all is prepared, and what there is to know of it."""
        self._send(facts)

    def begin(self) -> None:
        """Start the clock of the next piece of work; between turns, wait for the next one first.

        The answer to a turn goes out here: what is done between two pieces of work belongs to the turn, untimed.

        Raises:
            Over: After the last turn.
        """
        while self._left == 0:
            if self._seconds:
                self._send(self._seconds)
            line = sys.stdin.readline()
            if not line:
                raise Over
            self._left, self._seconds = int(json.loads(line)["count"]), {}
        self._started = time.perf_counter()

    def note(self, name: str = "seconds", until: float | None = None) -> None:
        """Note what passed since `begin`, or from there to an earlier reading of the clock."""
        passed = (time.perf_counter() if until is None else until) - self._started
        self._seconds.setdefault(name, []).append(passed)

    def end(self) -> None:
        """A piece of work is done."""
        self._left -= 1

    def serve(self, work: Callable[[], object]) -> None:
        """Do the same work in all turns."""
        with suppress(Over):
            while True:
                self.begin()
                work()
                self.note()
                self.end()

    def _send(self, message: object) -> None:
        self._answers.write(json.dumps(message) + "\n")
        self._answers.flush()


class Contender:
    """The other end: a process that is asked to work.

    Args:
        name: For messages.
        command: What starts it.
        threads: That it may use.
    """

    def __init__(self, name: str, command: Sequence[str], threads: int) -> None:
        self.name = name
        self._said = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - see close
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env=os.environ | {"OMP_NUM_THREADS": str(threads), "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""},
            text=True,
            encoding="utf-8",
        )

    def receive(self) -> dict[str, object]:
        """The next answer.

        Raises:
            RuntimeError: If the process ended instead; with the end of what it printed.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._said.seek(0)
            message = f"{self.name} ended with {self._process.returncode}:\n{self._said.read()[-2000:]}"
            raise RuntimeError(message)
        answer: dict[str, object] = json.loads(line)
        return answer

    def turn(self, count: int) -> Seconds:
        """Let it do so many pieces of work: the seconds of each."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"count": count}) + "\n")
        self._process.stdin.flush()
        return self.receive()  # type: ignore[return-value]

    def close(self) -> None:
        """End the process: it does so by itself when nothing more can come, or is made to."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._said.close()
