"""A local stand-in for Dub's customers API: for tests, demos and trying out DAGs without an account.

It behaves as Dub's server was measured to behave; it is not Dub and makes no claim about the real service.

    python -m airflow_provider_dub.emulator --port 8787

or, in a test::

    from airflow_provider_dub.emulator import DubEmulator

    with DubEmulator() as dub:
        requests.get(f"{dub.url}/customers", headers={"Authorization": f"Bearer {dub.api_key}"})
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_dub.emulator.server import DubEmulator

__all__ = ["DubEmulator"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from airflow_provider_dub.emulator.server import DubEmulator
    except ModuleNotFoundError as missing:
        if missing.name not in ("starlette", "uvicorn"):
            raise
        raise ModuleNotFoundError(
            f"The emulator needs {missing.name}. Install it with: pip install 'airflow-provider-dub[emulator]'",
            name=missing.name,
        ) from missing
    return DubEmulator
