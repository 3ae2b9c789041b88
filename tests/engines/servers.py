"""Servers that stand in for a warehouse: each a process of its own on a free port of this machine."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.free_port import free_port

#: Seconds that a server may take to start.
_LONGEST_START = 120


@contextmanager
def running(
    command: Callable[[int], Sequence[str]],
    log: Path,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Iterator[int]:
    """Run a server as long as it is needed, and yield its port.

    :param command: Returns the command that serves on a port.
    :param log: Where its output goes.
    :param environment: The environment of its process, if not ours.
    :param folder: Where it is started, if not here.
    """
    port = free_port()
    with log.open("w") as output:
        server = subprocess.Popen(command(port), stdout=output, stderr=subprocess.STDOUT, env=environment, cwd=folder)
        try:
            deadline = time.monotonic() + _LONGEST_START
            while not _listens(port):
                assert server.poll() is None, f"The stand-in ended: {log.read_text()[-2000:]}"
                assert time.monotonic() < deadline, f"The stand-in did not start: {log.read_text()[-2000:]}"
                time.sleep(0.1)
            yield port
        finally:
            server.terminate()
            try:
                server.wait(timeout=10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
