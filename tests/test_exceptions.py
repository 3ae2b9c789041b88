"""Errors are the same in another process: pools and Airflow's executors send them there."""

from __future__ import annotations

import copy
import inspect
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import pytest

from airflow_provider_dub import exceptions
from airflow_provider_dub.hooks.dub import DubHook
from airflow_provider_dub.sync.results import Outcome

ARGUMENTS = {
    "reason": "Timeout",
    "url": "https://api.dub.co",
    "sent": True,
    "changed": True,
    "message": "What is wrong.",
    "status": 404,
    "what": "no JSON",
    "kind": "OperationalError",
    "is_denied": True,
    "is_permanent": False,
    "codes": {"rate_limited"},
}
COPIES = {
    "pickle": lambda it: pickle.loads(pickle.dumps(it)),  # noqa: S301 - it is our own
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


def an_error(name: str) -> exceptions.DubError:
    """Make an error as the package makes it."""
    kind = getattr(exceptions, name)
    if kind.__init__ is Exception.__init__:
        return kind("What is wrong.")
    named = [name for name in inspect.signature(kind.__init__).parameters if name in ARGUMENTS]
    return kind(**{name: ARGUMENTS[name] for name in named}) if named else kind("What is wrong.")


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("name", exceptions.__all__)
def test_a_copy_of_an_error_is_the_same_error(name: str, copied) -> None:
    error = an_error(name)
    error.fatal, error.maybe_applied = True, True
    same = copied(error)
    assert type(same) is type(error)
    assert (str(same), same.args, vars(same)) == (str(error), error.args, vars(error))
    assert str(same)


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_a_copy_of_a_result_has_its_error(connected, copied) -> None:
    (result,) = map(copied, DubHook().update_customers([{"id": "cus_nobody", "name": "n"}]))
    assert result.outcome is Outcome.FAILED
    assert isinstance(result.error, exceptions.DubCustomerNotFoundError)
    assert (result.error.status, str(result.error)) == (404, result.reason)


@pytest.mark.slow
def test_an_error_leaves_a_pool_of_processes_usable(connected) -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        with pytest.raises(exceptions.DubCustomerNotFoundError):
            pool.submit(_name_of, "cus_nobody").result(60)
        assert pool.submit(_name_of, "cus_1LABA").result(60) == "Alice"


def _name_of(customer_id: str) -> str:
    return str(DubHook().get_customer(customer_id)["name"])
