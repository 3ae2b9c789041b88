"""What is done before every statement that goes to the warehouse, by a test that counts them or takes its time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_provider_dub.version_compat import BaseHook
from airflow_provider_dub.warehouse.sql_hooks import sql_hook


class Watched:
    """A connection or a cursor of a driver.

    :param real: The real one.
    :param before: Called with each statement, before it is run.
    """

    def __init__(self, real: Any, before: Callable[[str], object]) -> None:
        self.__dict__.update(real=real, before=before)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.real, name, value)

    @property
    def __class__(self) -> type:  # its driver is that of the real one
        return type(self.real)

    def cursor(self, *arguments: Any, **options: Any) -> Watched:
        return Watched(self.real.cursor(*arguments, **options), self.before)

    def copy(self, sql: str) -> Any:
        self.before(sql)
        return self.real.copy(sql)

    def execute(self, sql: str, *arguments: Any) -> Any:
        self.before(sql)
        return self.real.execute(sql, *arguments)

    def executemany(self, sql: str, *arguments: Any) -> Any:
        self.before(sql)
        return self.real.executemany(sql, *arguments)


def watch_warehouse(monkeypatch, before: Callable[[str], object]) -> None:
    """Watch all connections that the hook of the connection ``warehouse`` makes.

    :param before: Called with each statement, before it is run.
    """
    hook_class = type(sql_hook(BaseHook.get_connection("warehouse"), {}))
    get_conn = hook_class.get_conn
    monkeypatch.setattr(hook_class, "get_conn", lambda self: Watched(get_conn(self), before))
