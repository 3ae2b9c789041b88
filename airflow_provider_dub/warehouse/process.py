"""Which process a lease belongs to, and whether it is certainly gone."""

from __future__ import annotations

import os
import re
from pathlib import Path

_PROC = Path("/proc")
#: What ``/proc/<pid>/stat`` has after the name in parentheses: state, threads and start time (see proc(5)).
_STATE, _THREADS, _STARTED_AT = 0, 17, 19
#: What :func:`this_process` returns.
_PROCESS = re.compile(r"(?P<place>.+) (?P<pid>\d+) (?P<started_at>\d+)")


def this_process() -> str | None:
    """Return what distinguishes this process from every other one, now and later; None where that cannot be known.

    It is the boot of the machine, its name, the namespace of its process ids, the process id, and the start time.
    """
    pid = os.getpid()
    stat, place = _stat(pid), _place()
    return f"{place} {pid} {stat[_STARTED_AT]}" if stat and place else None


def is_gone(process: str | None) -> bool:
    """Return whether a process has certainly ended: it was one of this machine, and is not there any more.

    :param process: What :func:`this_process` returned in it.
    """
    parts = _PROCESS.fullmatch(process or "")
    if parts is None or parts["place"] != _place():
        return False
    pid = int(parts["pid"])
    try:
        os.kill(pid, 0)  # a process of another user may be hidden in /proc
    except ProcessLookupError:
        return True
    except OSError:
        return False
    stat = _stat(pid)
    if stat is None:
        return False
    has_ended = stat[_STATE] in "ZX" and int(stat[_THREADS]) <= 1  # only its parent has not asked yet how
    return has_ended or stat[_STARTED_AT] != parts["started_at"]


def _place() -> str | None:
    try:
        if str((_PROC / "self").readlink()) != str(os.getpid()):
            return None  # it shows another namespace
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.uname().nodename} {(_PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return None


def _stat(pid: int) -> list[str] | None:
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
