"""A MariaDB server, where one is installed. ``python -m tests.support.mariadb`` says whether it starts here."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.free_port import free_port


def is_installed() -> bool:
    return bool(shutil.which("mariadbd") and shutil.which("mariadb-install-db"))


@contextmanager
def mariadb_socket() -> Iterator[str]:
    """Start a server with an empty database ``warehouse``, and stop it at the end.

    :raises AssertionError: It does not start; the message is what it printed.
    """
    with tempfile.TemporaryDirectory(prefix="dub-mariadb-") as name:
        folder = Path(name)
        socket, log = folder / "socket", folder / "log"
        # A small log file, its own place for temporary files, and no look-up of this machine's name: whatever TMPDIR,
        # limits of file sizes and the network are like here, a server starts.
        options = [
            f"--datadir={folder / 'data'}",
            f"--tmpdir={folder}",
            f"--user={pwd.getpwuid(os.getuid()).pw_name}",
            "--innodb-log-file-size=8M",
            "--innodb-flush-log-at-trx-commit=0",
        ]
        install = ["mariadb-install-db", "--no-defaults", "--force", "--auth-root-authentication-method=normal"]
        installed = subprocess.run(
            [*install, *options], check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert not installed.returncode, f"MariaDB could not be set up: {installed.stdout[-4000:]}"
        network = ["--bind-address=127.0.0.1", f"--port={free_port()}"]  # for clients that take no socket
        command = ["mariadbd", "--no-defaults", *options, f"--socket={socket}", *network]
        with log.open("w") as output:
            server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + 30
            while not socket.exists():
                assert server.poll() is None, f"MariaDB ended: {log.read_text()[-4000:]}"
                assert time.monotonic() < deadline, f"MariaDB did not start: {log.read_text()[-4000:]}"
                time.sleep(0.1)
            create = "CREATE DATABASE warehouse CHARACTER SET utf8mb4"  # a case-insensitive collation, as most are
            subprocess.run(["mariadb", "--no-defaults", f"--socket={socket}", "--user=root", "-e", create], check=True)
            yield str(socket)
        finally:
            server.terminate()
            server.wait(timeout=30)


if __name__ == "__main__":
    with mariadb_socket():
        print("A MariaDB server starts here.")
