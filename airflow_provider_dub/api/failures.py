"""What goes wrong below HTTP becomes a typed error of :mod:`airflow_provider_dub.exceptions`."""

from __future__ import annotations

import errno
import ssl
from collections.abc import Iterator
from traceback import walk_tb
from typing import TYPE_CHECKING

import requests
from urllib3.exceptions import HTTPError, InvalidHeader, NewConnectionError

from airflow_provider_dub.exceptions import TOO_MANY_FILES, DubConfigurationError, DubConnectionError, DubError

if TYPE_CHECKING:
    from airflow_provider_dub.api.exchange import Server

#: Parts of OpenSSL that read certificates from files.
_FILE_READERS = frozenset({"PEM", "X509"})


def error_from_exception(error: requests.RequestException | HTTPError | OSError, server: Server) -> DubError:
    """Turn an exception of a request that had no response into a typed error.

    :param error: What requests raised; it passes some errors of urllib3 on as they are.
    :param server: What was called.
    """
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return DubConfigurationError(
            f"The certificate of {server.base_url} is not trusted (SSLError): put the path of the right CA bundle into "
            "verify of the connection or into REQUESTS_CA_BUNDLE, and check that the host is right."
        )
    if setting := _of_a_setting(error, causes):
        return DubConfigurationError(
            f"{server.base_url} cannot be called ({type(setting).__name__}): check the connection's host and verify, "
            "and the worker's HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and REQUESTS_CA_BUNDLE."
        )
    sent = not _is_before_sending(error, causes)
    maybe_no_tls = server.https_assumed and (sent or any(map(_is_of_handshake, causes)))
    return DubConnectionError(_reason(error, causes), server.base_url, sent=sent, https_assumed=maybe_no_tls)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and what it came from; urllib3 also passes errors as arguments."""
    seen: set[int] = set()
    todo: list[object] = [error]
    while todo:
        cause = todo.pop()
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            todo += [*cause.args, cause.__context__, cause.__cause__]


def _of_a_setting(error: Exception, causes: list[BaseException]) -> BaseException | None:
    """Return what says that a setting cannot work, if anything does."""
    if any(isinstance(cause, InvalidHeader) for cause in causes):
        return None  # of a response; requests calls it by the name that it has for those of a request
    if isinstance(error, (ValueError, FileNotFoundError)) or type(error) is OSError:
        return error  # a URL, a header or a proxy that cannot be; a CA bundle that is not there
    if any(isinstance(cause, ssl.SSLError) and cause.library in _FILE_READERS for cause in causes):
        return error
    if isinstance(error, requests.exceptions.SSLError):  # a CA bundle that the worker's user may not read
        return next((cause for cause in causes if isinstance(cause, PermissionError)), None)
    return None


def _is_before_sending(error: Exception, causes: list[BaseException]) -> bool:
    if any(isinstance(cause, NewConnectionError) or _is_of_handshake(cause) for cause in causes):
        return True
    if isinstance(error, requests.exceptions.ProxyError):  # even where a proxy that was reached lost the response
        return not any(isinstance(cause, ConnectionError) for cause in causes)
    return isinstance(error, requests.exceptions.ConnectTimeout)


def _is_of_handshake(cause: BaseException) -> bool:
    """Return whether TLS failed before anything could be sent: OpenSSL has the same reasons for what comes later."""
    return any(frame.f_code.co_name == "do_handshake" for frame, _ in walk_tb(cause.__traceback__))


def _reason(error: Exception, causes: list[BaseException]) -> str:
    """Return the name of the most telling exception: of requests, or of the system where requests has but one name."""
    if type(error) is not requests.exceptions.ConnectionError:
        return type(error).__name__
    system = [
        cause for cause in causes if isinstance(cause, OSError) and not isinstance(cause, requests.RequestException)
    ]
    if any(cause.errno in (errno.EMFILE, errno.ENFILE) for cause in system):
        return TOO_MANY_FILES
    return type(system[-1] if system else causes[-1]).__name__
