"""How much memory this process takes, and took at most. Linux only."""

from __future__ import annotations

from pathlib import Path


def megabytes() -> float:
    """What is resident now; the peak starts anew."""
    Path("/proc/self/clear_refs").write_text("5")
    return _megabytes("VmRSS")


def peak_megabytes() -> float:
    """The most that was resident since then."""
    return _megabytes("VmHWM")


def _megabytes(name: str) -> float:
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name)]
    return int(line.split()[1]) / 1024
