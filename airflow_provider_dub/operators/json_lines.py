"""JSON lines on any storage that Airflow reaches."""

from __future__ import annotations

from types import TracebackType
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath


class JsonLinesFile:
    """A file of JSON lines, written anew.

    :param path: A local path or a URI such as ``s3://conn_id@bucket/key.jsonl``.
    """

    def __init__(self, path: str | ObjectStoragePath) -> None:
        from airflow.providers.common.compat.sdk import ObjectStoragePath

        self._path = ObjectStoragePath(str(path))

    def __enter__(self) -> JsonLinesFile:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[str] = self._path.open("w", encoding="utf-8")  # type: ignore[no-untyped-call]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, line: str) -> None:
        """Write one line."""
        self._file.write(line + "\n")

    @property
    def uri(self) -> str:
        """Where the file is."""
        return str(self._path)
