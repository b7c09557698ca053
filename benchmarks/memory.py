"""How much memory forward and backward take beyond their inputs, each loss in a fresh process."""

import ctypes
import json
import multiprocessing
import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from contenders import DTYPES, REFERENCE, Inputs, Loss, Member, build, inputs
from report import listed, table

METHOD = (
    "Peak memory of one forward and backward beyond logits and labels, the gradient (1.00) included, in sizes of the "
    "logits; each loss in a fresh process, after a small input has warmed it up. *Allocator*: what torch has handed "
    "out: exact, but blind to what libraries take for themselves. *Process*: the peak of the resident memory over its "
    "value before, good to about 0.2 MB. For it the C library was told to give freed tensors back at once; left to "
    "itself it keeps some of them, for losses with many temporaries half as much again.\n"
)
M_MMAP_THRESHOLD = -3
"""By its number in malloc.h."""
WANTED = 1.25
"""The aim: logits' sizes of memory beyond the inputs, the gradient included."""


@dataclass(frozen=True)
class Peak:
    """The peak beyond the inputs, in sizes of the logits.

    Attributes:
        process: As the operating system sees the process; None where it cannot tell.
        allocator: As torch's allocator counts its own tensors.
    """

    process: float | None
    allocator: float

    @property
    def highest(self) -> float:
        """The larger of the two views."""
        return max(self.allocator, self.process or 0.0)


def memory(shapes: Sequence[tuple[int, ...]], chosen: Sequence[Member], *, dtype: str, device: str) -> str:
    """The section on memory, in Markdown."""
    parts = [METHOD]
    for shape in shapes:
        keys = [REFERENCE, *(f"ours:{member.title}" for member in chosen)]
        keys += dict.fromkeys(member.monai_key for member in chosen if member.monai_key)
        peaks = {key: _in_fresh_process(key, shape, dtype=dtype, device=device) for key in keys}
        ours = {key.removeprefix("ours:"): p for key, p in peaks.items() if key.startswith("ours:")}
        large = {title: f"{p.highest:.2f}" for title, p in ours.items() if p.highest > WANTED}
        rows = [
            [f"`{key}`", f"{p.allocator:.2f}", "" if p.process is None else f"{p.process:.2f}"]
            for key, p in peaks.items()
        ]
        parts += [
            f"### {tuple(shape)}\n",
            table(["loss", "allocator", "process"], rows),
            f"- At most {WANTED:g} in both views: {listed(large)}.\n",
        ]
    return "\n".join(parts)


def _in_fresh_process(key: str, shape: tuple[int, ...], *, dtype: str, device: str) -> Peak:
    """The peak, measured in a process that has imported the libraries and done nothing else."""
    known = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in known else "spawn")
    if context.get_start_method() == "forkserver":
        context.set_forkserver_preload(["contenders", "monai.losses", "torch.profiler"])
    with ProcessPoolExecutor(1, context) as executor:
        return executor.submit(peak, key, shape, dtype=dtype, device=device, threads=torch.get_num_threads()).result()


def peak(key: str, shape: tuple[int, ...], *, dtype: str, device: str, threads: int) -> Peak:
    """The peak of one forward and backward in this process, after a small input has warmed it up."""
    warnings.simplefilter("ignore")  # of other libraries, about themselves
    torch.set_num_threads(threads)
    given = inputs(shape, dtype=DTYPES[dtype], device=device)
    loss = build(key)
    # code, threads and the allocator's arenas come into being before anything is counted
    torch.ones(1 << 18).exp().sum()
    samples, classes, *spatial = shape
    small = inputs((samples, classes, *(max(2, size // 8) for size in spatial)), dtype=DTYPES[dtype], device=device)
    for _ in range(2):
        small.run(loss)
        small.forget()
    if device == "cuda":
        return Peak(None, _cuda_peak(loss, given) / given.bytes_of_logits)
    process = _process_peak(loss, given)
    given.forget()
    allocator = _allocator_peak(loss, given)
    return Peak(None if process is None else process / given.bytes_of_logits, allocator / given.bytes_of_logits)


def _process_peak(loss: Loss, given: Inputs) -> int | None:
    try:
        c_library = ctypes.CDLL(None)
        c_library.mallopt(M_MMAP_THRESHOLD, 1 << 16)
        c_library.malloc_trim(0)
        before = _status("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")
    except (AttributeError, OSError):
        return None
    given.run(loss)
    return _status("VmHWM") - before


def _status(name: str) -> int:
    """A line of the process' status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(name)).split()[1])


def _allocator_peak(loss: Loss, given: Inputs) -> int:
    """The largest sum of what was handed out less what was given back, from the profiler's trace."""
    from torch.profiler import ProfilerActivity, profile

    with _silent(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        given.run(loss)
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())["traceEvents"]
    changes = sorted((e["ts"], e["args"]["Ev Idx"], e["args"]["Bytes"]) for e in events if e.get("name") == "[memory]")
    total = highest = 0
    for *_, change in changes:
        total += change
        highest = max(highest, total)
    return highest


@contextmanager
def _silent() -> Iterator[None]:
    """Keeps what the profiler's library writes about itself from the terminal."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _cuda_peak(loss: Loss, given: Inputs) -> int:
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    given.run(loss)
    torch.cuda.synchronize()
    return int(torch.cuda.max_memory_allocated() - before)
