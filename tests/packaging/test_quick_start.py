"""The quick start's command helps, and ends without a traceback; its DAGs leave the user's tables alone."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest

from tests.support.paths import ROOT

EXAMPLES = sorted(path.stem for path in (ROOT / "example_dags").glob("example_*.py"))


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "example_dags", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def test_help_lists_the_examples() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert [line.strip() for line in done.stdout.splitlines() if line.startswith("  example_")] == EXAMPLES


def test_an_unknown_example_is_named_with_the_list() -> None:
    done = run("example_nope")
    assert done.returncode == 2
    assert "there is no example 'example_nope'" in done.stderr
    assert all(name in done.stderr for name in EXAMPLES)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_writes_only_to_tables_that_nobody_else_has(example) -> None:
    text = (ROOT / "example_dags" / f"{example}.py").read_text(encoding="utf-8")
    written = re.findall(r"""(?:TABLE|EXISTS|INTO|UPDATE|DELETE FROM|state_table"?[=:]) ?"?([a-z]\w*)""", text)
    assert [name for name in written if not name.startswith("dub_example")] == []


def test_ctrl_c_ends_without_a_traceback() -> None:
    command = [sys.executable, "-u", "-m", "example_dags"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
        # A shell lets what it starts in the background ignore SIGINT, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 - no threads
    ) as process:
        assert process.stdout
        while "preparing its database" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
    assert "Stopped." in output
    assert "Traceback" not in output + errors
