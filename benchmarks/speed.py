"""How long forward and backward take, all contenders in turn in one process."""

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from contenders import REFERENCE, Inputs, Member, build, inputs
from report import listed, table

EVERY = {"torch": 1, "ours": 1, "monai": 3, "formula": 5}
"""In which rounds a contender takes part: the slow ones in every third or fifth."""


@dataclass(frozen=True)
class Times:
    """Milliseconds of repeated runs."""

    runs: Sequence[float]

    @property
    def median(self) -> float:
        """The median."""
        return statistics.median(self.runs)

    def __str__(self) -> str:
        if len(self.runs) == 1:
            return f"{self.median:.3g}"
        low, _, high = statistics.quantiles(self.runs, n=4, method="inclusive")
        return f"{self.median:.3g} ({low:.3g}-{high:.3g})"


def clock(device: str) -> Callable[[Callable[[], None]], float]:
    """A function that runs another and returns the milliseconds it took."""
    return _milliseconds_cuda if device == "cuda" else _milliseconds


def _milliseconds(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return 1e3 * (time.perf_counter() - start)


def _milliseconds_cuda(run: Callable[[], None]) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start.record()
    run()
    end.record()
    torch.cuda.synchronize()
    return float(start.elapsed_time(end))


def interleaved(keys: Sequence[str], given: Inputs, repeats: int) -> dict[str, Times]:
    """The times of all contenders: A B C A B C, after each has run once unmeasured.

    Args:
        keys: What `contenders.build` takes.
        given: The same for all.
        repeats: Number of rounds.
    """
    losses = {key: build(key) for key in keys}
    measure = clock(given.logits.device.type)
    runs: dict[str, list[float]] = {key: [] for key in keys}
    for loss in losses.values():
        given.run(loss)
        given.forget()
    gc.collect()
    gc.disable()
    try:
        for turn in range(repeats):
            for key, loss in losses.items():
                if turn % EVERY[key.split(":")[0]] == 0:
                    runs[key].append(measure(lambda loss=loss: given.run(loss)))
                    given.forget()
    finally:
        gc.enable()
    return {key: Times(found) for key, found in runs.items()}


def bandwidth(device: str) -> float:
    """Bytes per second of copying a large tensor, read and written."""
    source = torch.ones((1 << 30 if device == "cuda" else 1 << 28) // 4, device=device)
    copy = torch.empty_like(source)
    measure = clock(device)
    fastest = min(measure(lambda: copy.copy_(source)) for _ in range(10))
    return 2 * source.numel() * source.element_size() / fastest * 1e3


def floor(given: Inputs, bytes_per_second: float) -> float:
    """Milliseconds that reading the logits and labels twice and writing the gradient once must take."""
    labels = given.labels.numel() * given.labels.element_size()
    return (3 * given.bytes_of_logits + 2 * labels) / bytes_per_second * 1e3


def wanted(shape: tuple[int, ...]) -> float:
    """The ratio to torch's cross entropy that is aimed at: lower for volumes of two classes."""
    return 0.7 if shape[1] == 2 and len(shape) == 5 else 1.0


def speed(
    shapes: Sequence[tuple[int, ...]], chosen: Sequence[Member], *, repeats: int, dtype: torch.dtype, device: str
) -> str:
    """The section on speed, in Markdown."""
    rate = bandwidth(device)
    method = (
        f"Milliseconds of forward and backward: median and quartiles of {repeats} rounds in which all contenders "
        f"take turns (MONAI in every third round, the plain formula in every fifth). `/ CE` etc. are ratios of "
        f"medians. Copying runs at {rate / 1e9:.1f} GB/s (read and written); the floor is the time that reading "
        "logits and labels twice and writing the gradient once takes at that rate.\n"
    )
    parts = [method]
    for shape in shapes:
        given = inputs(shape, dtype=dtype, device=device)
        keys = {
            key: None
            for member in chosen
            for key in (REFERENCE, f"ours:{member.title}", member.monai_key, f"formula:{member.title}")
            if key
        }
        times = interleaved(list(keys), given, repeats)
        parts.append(_one_shape(shape, chosen, times, floor(given, rate), device))
    return "\n".join(parts)


def _one_shape(
    shape: tuple[int, ...], chosen: Sequence[Member], times: dict[str, Times], lowest: float, device: str
) -> str:
    reference = times[REFERENCE].median
    rows, slow, behind, far = [], {}, {}, {}
    for member in chosen:
        ours, formula = times[f"ours:{member.title}"], times[f"formula:{member.title}"]
        ratio, share = ours.median / reference, lowest / ours.median
        peer = times[member.monai_key] if member.monai_key else None
        to_peer = ours.median / peer.median if peer else None
        rows.append(
            [
                f"`{member.title}`",
                str(ours),
                f"{ratio:.2f}",
                f"{to_peer:.2f}" if to_peer else "",
                f"{peer} {member.peer.title}" if peer and member.peer else "",
                f"{ours.median / formula.median:.2f}",
                f"{formula}",
                f"{100 * share:.0f} %",
            ]
        )
        slow |= {member.title: f"{ratio:.2f}"} if ratio > wanted(shape) else {}
        behind |= {member.title: f"{to_peer:.2f}"} if to_peer and to_peer > 1 / 3 else {}
        far |= {member.title: f"{100 * share:.0f} %"} if share < 0.6 else {}
    head = ["loss", "ms", "/ CE", "/ MONAI", "MONAI, ms", "/ formula", "formula, ms", "of the floor"]
    aims = [
        f"At most {wanted(shape):g} of cross entropy: {listed(slow)}.",
        f"At most a third of MONAI: {listed(behind)}.",
    ]
    if device == "cuda":
        aims.append(f"At least 60 % of the floor: {listed(far)}.")
    title = f"### {tuple(shape)}: `F.cross_entropy` {times[REFERENCE]} ms, floor {lowest:.3g} ms\n"
    return "\n".join([title, table(head, rows), *(f"- {aim}" for aim in aims), ""])
