"""JSON lines on any storage that Airflow reaches."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias

from airflow_provider_dub.sync.shown import path_shown

if TYPE_CHECKING:
    from airflow_provider_dub.version_compat import ObjectStoragePath

    FilePath: TypeAlias = str | os.PathLike[str] | ObjectStoragePath

_LOCAL_URI = re.compile("(file|local)://", re.IGNORECASE)
#: A connection may stand in it, but no host.
_LOCAL_URI_OF_A_WHOLE_PATH = re.compile("[a-z]+://([^/@]*@)?/", re.IGNORECASE)
#: Bytes that are read at a time.
_CHUNK = 1 << 20


class JsonLinesFile:
    """A file of JSON lines, written anew. Its last line is whole, whatever fails.

    :param path: A local path or a URI such as ``s3://conn_id@bucket/key.jsonl``.
    """

    def __init__(self, path: FilePath) -> None:
        from airflow_provider_dub.version_compat import ObjectStoragePath

        self._path = ObjectStoragePath(str(path))
        self._local = Path(self._path.path) if _is_local(self._path) else None
        self._file: IO[bytes] = BytesIO()
        #: The lines that the file has.
        self.lines = 0

    def open(self) -> None:
        """Begin the file, and the folder that it is in."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # A local file has no buffer, which could write half a line after the file was cut.
        self._file = self._local.open("wb", buffering=0) if self._local else self._path.open("wb")  # type: ignore[no-untyped-call]

    def check(self) -> None:
        """Raise what keeps a local file from being written; one that was there holds what it held."""
        if self._local and (self._local.is_file() or not self._local.exists()):  # a pipe is opened once
            self._local.parent.mkdir(parents=True, exist_ok=True)
            self._local.open("ab").close()

    def write(self, line: str) -> None:
        """Write one line.

        :param line: The line, without its end.
        """
        left = memoryview(f"{line}\n".encode())
        try:
            while left:
                left = left[self._file.write(left) :]
        except Exception as error:
            self._cut(error)
            raise
        self.lines += 1

    def close(self) -> None:
        """Close the file; on some storages it is there only then."""
        if self._file.closed:
            return
        try:
            if self._local and self._local.is_file():
                os.fsync(self._file.fileno())  # a full disk elsewhere may say so only now
            self._file.close()
        except Exception as error:
            self._cut(error)
            raise

    @property
    def uri(self) -> str:
        """Where the file is."""
        return str(self._path)

    def _cut(self, error: Exception) -> None:
        """Close the file, cut off half a line at its end, and count the lines that it has.

        :param error: What failed; the system does not know which file that was, so it is named.
        """
        if isinstance(error, OSError) and error.errno is not None:
            error.filename = error.filename or path_shown(self._path)
        try:
            self._file.close()
        except Exception:
            if not self._local:
                self.lines = 0  # an object without its end is not there
                return
        if self._local and not self._local.is_file():  # a pipe or a device
            return
        with suppress(Exception):
            self.lines, end = self._whole_lines()
            if self._local:
                os.truncate(self._local, end)

    def _whole_lines(self) -> tuple[int, int]:
        """Return how many whole lines the file has, and where the last one ends."""
        lines = end = at = 0
        with self._path.open("rb") as file:  # type: ignore[no-untyped-call]
            while chunk := file.read(_CHUNK):
                lines += chunk.count(b"\n")
                end = at + chunk.rfind(b"\n") + 1 if b"\n" in chunk else end
                at += len(chunk)
        return lines, end


def check_place(name: str, path: Any) -> None:
    """Check that a file is written where its path seems to say.

    :param name: The argument's name.
    :param path: A path or URI.
    :raises ValueError: It begins with ``~``, which would be a folder of that name, or it is the URI of a local file
        with a host, which would be a folder, too.
    """
    text = str(path)
    if text.startswith("~"):
        raise ValueError(f"{name} must have the full path instead of ~, such as /home/airflow/rows.jsonl.")
    if _LOCAL_URI.match(text) and not _LOCAL_URI_OF_A_WHOLE_PATH.match(text):
        raise ValueError(f"{name} must have three slashes and a full path after file:, such as file:///tmp/rows.jsonl.")


def check_storage(name: str, path: Any) -> None:
    """Check that Airflow can open the storage that a URI names, and that a local path is not a folder.

    :param name: The argument's name.
    :param path: A path or URI.
    :raises ValueError: It cannot be opened, or is a folder.
    """
    from airflow_provider_dub.version_compat import AirflowNotFoundException, ObjectStoragePath

    text = str(path)
    try:
        place = ObjectStoragePath(text)
        place.fs  # noqa: B018 - which opens it
    except (ValueError, AirflowNotFoundException) as error:  # their texts may show a password in the URI
        raise ValueError(
            f"{name}: Airflow cannot open the storage {text.partition(':')[0]}:// ({type(error).__name__}). Install "
            "its Airflow provider with the file system, such as apache-airflow-providers-amazon[s3fs] for s3://. Text "
            "before an @ is the id of an Airflow connection."
        ) from None
    if _is_local(place) and Path(place.path).is_dir():
        raise ValueError(f"{name} names a folder: it must name the file, such as rows.jsonl in it.")


def names_same_file(one: Any, other: Any) -> bool:
    """Return whether two paths or URIs name one file: ``/tmp/x`` and ``file:///tmp/x`` do.

    :param one: A path or URI.
    :param other: A path or URI, or anything else, which names no file.
    """
    from airflow_provider_dub.version_compat import ObjectStoragePath

    if not isinstance(other, str | os.PathLike | ObjectStoragePath):
        return False
    first, second = (_place(ObjectStoragePath(str(path))) for path in (one, other))
    return first == second


def _place(path: ObjectStoragePath) -> str:
    return os.path.realpath(path.path) if _is_local(path) else str(path)


def _is_local(path: ObjectStoragePath) -> bool:
    return path.protocol in ("", "file", "local")
