"""Markdown, and what the numbers were measured on."""

import platform
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table: the first column to the left, all others to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def listed(missed: Mapping[str, str]) -> str:
    """Which contenders miss an aim, and by how much."""
    return f"missed by {', '.join(f'`{name}` {value}' for name, value in missed.items())}" if missed else "met by all"


def processor() -> str:
    """The processor's model name."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def circumstances(
    command: str, *, device: str = "cpu", dtype: str = "", packages: Sequence[str] = ("unifocal", "torch", "monai")
) -> str:
    """The command, the machine and the versions, as a table."""
    rows = [
        ["Command", f"`{command}`"],
        ["Processor", f"{processor()}, {torch.get_num_threads()} threads"],
        *([["Logits", dtype]] if dtype else []),
        ["Versions", ", ".join(f"{name} {_version(name)}" for name in packages)],
        ["Python", f"{platform.python_version()}, {platform.system()}"],
    ]
    if device == "cuda":
        rows.insert(
            2, ["GPU", f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}, triton {_version('triton')}"]
        )
    lines = ["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows)]
    return "\n".join(lines) + "\n"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
