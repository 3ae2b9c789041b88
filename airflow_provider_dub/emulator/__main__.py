"""The emulator on the command line: ``python -m airflow_provider_dub.emulator --port 8787``."""

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

#: Errors of a port that another one would not have.
_PORT_ERRORS = (errno.EADDRINUSE, errno.EACCES)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted, and return the exit code.

    :param arguments: The arguments; the default is those of the process.
    """
    with contextlib.suppress(KeyboardInterrupt):
        return _serve(vars(_parser().parse_args(arguments)))
    return 0


def _serve(options: dict[str, Any]) -> int:
    try:
        from airflow_provider_dub.emulator import DubEmulator

        emulator = DubEmulator(**options)
    except (ImportError, ValueError, OSError) as error:
        return _fail(str(error))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with emulator:
            print(_greeting(emulator.url, emulator.api_key), flush=True)  # noqa: T201
            threading.Event().wait()
    except (OSError, OverflowError) as error:
        is_about_port = isinstance(error, OverflowError) or error.errno in _PORT_ERRORS
        hint = "Try --port 0." if is_about_port else "--host must be an address of this machine, such as 127.0.0.1."
        return _fail(f"Cannot listen on {options['host']}:{options['port']}: {error}. {hint}")
    return 0


def _greeting(url: str, api_key: str) -> str:
    connection = json.dumps({"conn_type": "dub", "host": url, "password": api_key})
    return (
        f"A local stand-in for Dub (not Dub) on {url} with the API key {api_key}. Point Airflow at it: "
        f"export AIRFLOW_CONN_DUB_DEFAULT='{connection}'"
    )


def _fail(message: str) -> int:
    print(message, file=sys.stderr)  # noqa: T201
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_dub.emulator",
        description="A local stand-in for Dub's customers API. It is not Dub. Ctrl-C ends it.",
        epilog="POST /_emulator/reset goes back to the start; GET /_emulator/requests and /_emulator/customers show"
        " what was received and what is stored.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on; default %(default)s")
    parser.add_argument("--port", type=int, default=8787, help="0 takes a free one; default %(default)s")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        dest="allowed_hosts",
        metavar="NAME",
        help="respond also to requests for this name (their Host header), beside localhost and its addresses; * allows"
        " all; repeatable",
    )
    parser.add_argument("--seed", type=Path, metavar="FILE", help="what to start with, in the shape of seed.json")
    parser.add_argument(
        "--requests-per-minute", type=int, metavar="N", help="a limit per key and window, in place of the plan's"
    )
    parser.add_argument(
        "--window-seconds", type=float, default=60.0, metavar="S", help="length of the rate limit's window; default 60"
    )
    parser.add_argument("--latency-ms", type=float, default=0, metavar="N", help="how long each response takes")
    parser.add_argument(
        "--latency-jitter-ms", type=float, default=0, metavar="N", help="how much longer it may take, at random"
    )
    parser.add_argument(
        "--keep-requests",
        type=int,
        default=100_000,
        metavar="N",
        help="how many of the newest requests the log keeps; default %(default)s",
    )
    parser.add_argument(
        "--ignore-field",
        action="append",
        default=[],
        dest="ignore_fields",
        metavar="FIELD",
        help="accept this field of an update and do not apply it, as older servers do; repeatable",
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        dest="faults",
        metavar="SPEC",
        help="a failure to inject, repeatable: stall-seconds=S, storm=START:SECONDS, fail-open=1, or a share"
        " of requests for error, html-error, reset-before, reset-after, stall, truncate or transient-422",
    )
    parser.add_argument("--fault-seed", type=int, default=0, metavar="N", help="the same seed gives the same faults")
    return parser


if __name__ == "__main__":
    sys.exit(main())
