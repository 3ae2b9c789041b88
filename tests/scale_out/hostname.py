"""What Airflow takes for the name of the machine: of many on one machine, the component's."""

from __future__ import annotations

import os


def component() -> str:
    return os.environ["COMPONENT"]
