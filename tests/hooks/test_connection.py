"""What a connection says, and what it may not say."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_dub import version_compat
from airflow_provider_dub.exceptions import DubConfigurationError
from airflow_provider_dub.hooks.connection import DubSettings
from airflow_provider_dub.version_compat import Connection


def read(extra=None, arguments=None, **fields) -> DubSettings:
    connection = Connection(
        conn_id="dub_test", conn_type="dub", extra=json.dumps(extra or {}), **{"password": "dub_K", **fields}
    )
    return DubSettings.read(connection, arguments or {})


def read_unchecked(**fields) -> DubSettings:
    """Read a connection with what some secrets backends give, and some versions of Airflow do not take."""
    nothing = dict.fromkeys(["host", "schema", "port", "extra"])
    return DubSettings.read(SimpleNamespace(conn_id="dub_test", **{**nothing, "password": "dub_K", **fields}), {})


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({}, "https://api.dub.co"),
        ({"host": " "}, "https://api.dub.co"),
        ({"host": "api.dub.co"}, "https://api.dub.co"),
        ({"host": "https://api.dub.co/"}, "https://api.dub.co"),
        ({"host": "http://127.0.0.1:8787"}, "http://127.0.0.1:8787"),
        ({"host": "127.0.0.1", "port": 8787, "schema": "http"}, "http://127.0.0.1:8787"),
        ({"host": "https://api.dub.co", "schema": "public"}, "https://api.dub.co"),
        ({"host": "http://127.0.0.1", "port": 8787}, "http://127.0.0.1:8787"),
        ({"host": "https://dub.example.com/api"}, "https://dub.example.com/api"),
        ({"host": "http://[::1]:80"}, "http://[::1]"),
        ({"host": "::1", "port": 8787, "schema": "http"}, "http://[::1]:8787"),
        ({"host": "::ffff:127.0.0.1"}, "https://[::ffff:127.0.0.1]"),
        ({"port": 443}, "https://api.dub.co"),
        ({"host": "api.dub.co", "port": 443}, "https://api.dub.co"),
        ({"host": "http://127.0.0.1:8787", "port": 443}, "http://127.0.0.1:8787"),
        ({"host": "http://127.0.0.1", "port": 443}, "http://127.0.0.1:443"),
    ],
)
def test_the_host_is_a_base_url(fields, url: str) -> None:
    assert read(**fields).base_url == url


@pytest.mark.parametrize(
    "host",
    [
        "ftp://api.dub.co",
        "https://",
        "https://a b",
        "https://api.dub.co?x=1",
        "http://u@h",
        "http://:dub_K@h",
        "http://h:port",
    ],
)
def test_another_host_is_refused_with_the_connections_id(host: str) -> None:
    with pytest.raises(DubConfigurationError, match="dub_test"):
        read(host=host)


@pytest.mark.parametrize("password", ["dub_K", " dub_K\n", "Bearer dub_K"])
def test_a_pasted_key_is_cleaned(password: str) -> None:
    assert read(password=password).api_key == "dub_K"


@pytest.mark.parametrize("password", [None, "", " ", "Bearer ", "dub_ключ", "dub K", "dub\nK", '"dub_K"', "dub_K,"])
def test_a_missing_or_impossible_key_is_refused_without_being_shown(password: str | None) -> None:
    with pytest.raises(DubConfigurationError, match="dub_test") as refused:
        read(password=password)
    assert "ключ" not in str(refused.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"host": "http://api.dub.co"},
        {"host": "HTTP://API.dub.co.:443/"},
        {"host": "http://dub.co"},
        {"host": "api.dub.co", "schema": "http"},
    ],
)
def test_the_key_is_not_sent_to_dub_in_clear_text(fields) -> None:
    with pytest.raises(DubConfigurationError, match=r"dub_test .* clear text: use https, as in https://api\.dub\.co"):
        read(**fields)


@pytest.mark.parametrize(
    ("fields", "same"),
    [
        ({"password": 123}, {"password": "123"}),
        ({"host": "https://api.dub.co", "port": "443"}, {}),
        ({"host": "http://127.0.0.1", "port": " 8787 "}, {"host": "http://127.0.0.1:8787"}),
        ({"host": 5, "port": ""}, {"host": "5"}),
        ({"host": "https://api.dub.co", "port": 0}, {}),
    ],
)
def test_a_number_and_its_text_are_the_same(fields, same) -> None:
    one, other = read_unchecked(**fields), read(**same)
    assert (one.base_url, one.api_key) == (other.base_url, other.api_key)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"host": "api.dub.co", "schema": "acme"}, "schema .* dub_test .* workspace_slug"),
        ({"schema": "acme"}, "schema .* dub_test .* workspace_slug"),
        ({"port": "https"}, "port .* dub_test"),
        ({"port": -1}, "port .* dub_test"),
        ({"port": 65536}, "port .* dub_test"),
        ({"password": "'dub_K'"}, "dub_test .* dub_ followed by letters and digits"),
    ],
)
def test_the_field_that_cannot_work_is_named(fields, named: str) -> None:
    with pytest.raises(DubConfigurationError, match=named):
        read_unchecked(**fields)


def test_ones_own_server_may_do_without_tls() -> None:
    assert read(host="http://api.dub.co.example.com").base_url == "http://api.dub.co.example.com"
    assert read(host="http://mydub.co").base_url == "http://mydub.co"


@pytest.mark.parametrize(("password", "masked"), [("dub_K", []), ("dub_K\n", ["dub_K"]), ("Bearer dub_K", ["dub_K"])])
def test_airflow_masks_the_key_that_is_sent_where_it_is_not_the_whole_password(password, masked, monkeypatch) -> None:
    secrets: list[str] = []
    monkeypatch.setattr(version_compat, "mask_secret", secrets.append)
    read(password=password)
    assert secrets == masked


def test_the_key_is_not_shown() -> None:
    assert "dub_K" not in repr(read())


def test_an_argument_goes_before_an_extra_and_that_before_the_default() -> None:
    assert read().timeout == 30
    assert read({"timeout": "7"}).timeout == 7
    assert read({"timeout": "7"}, {"timeout": 3}).timeout == 3
    assert read({"timeout": "7"}, {"timeout": None}).timeout == 7


@pytest.mark.parametrize("blank", [None, "", "  "])
def test_a_blank_argument_leaves_the_extra_as_it_is(blank) -> None:
    extra = {"timeout": 7, "workspace_slug": "acme", "verify": False}
    assert read(extra, dict.fromkeys(extra, blank)) == read(extra)


@pytest.mark.parametrize(
    "slug", ["ws_1LABOTHER000000000000000002", "WS_x", "Acme Inc", "[x", "a/b", "../x?y#z@evil", "app.dub.co/acme"]
)
@pytest.mark.parametrize("is_argument", [False, True])
def test_what_is_no_slug_is_refused_since_dub_would_take_any_key_for_an_id(slug: str, is_argument: bool) -> None:
    given = {"workspace_slug": slug}
    with pytest.raises(DubConfigurationError, match=r"workspace_slug .* app\.dub\.co/<slug>, not its id") as refused:
        read(*((None, given) if is_argument else (given,)))
    assert slug not in str(refused.value).replace("app.dub.co/<slug>", "")


def test_a_slug_is_taken_without_the_blanks_around_it() -> None:
    assert read({"workspace_slug": " Acme-2 "}).workspace_slug == "Acme-2"


@pytest.mark.parametrize("blank", [None, "", "  "])
def test_a_blank_extra_is_not_set(blank) -> None:
    names = ["timeout", "max_retries", "requests_per_minute", "workspace_slug", "verify"]
    assert read(dict.fromkeys(names, blank)) == read()


def test_extras_arrive_as_text_or_as_numbers() -> None:
    text = read({"timeout": "5", "max_retries": "2", "requests_per_minute": "600", "verify": "False"})
    numbers = read({"timeout": 5, "max_retries": 2, "requests_per_minute": 600, "verify": False})
    assert text == numbers
    assert (text.max_retries, text.requests_per_minute, text.verify) == (2, 600, False)


@pytest.mark.parametrize(
    "extra",
    [
        {"timeout": "soon"},
        {"timeout": 0.9},
        {"timeout": 3601},
        {"timeout": "nan"},
        {"timeout": [1]},
        {"timeout": True},
        {"max_retries": -1},
        {"max_retries": 1.5},
        {"max_retries": True},
        {"requests_per_minute": 0},
        {"requests_per_minute": "many"},
        {"workspace_slug": 7},
        {"verify": 7},
        {"max_retries": "inf"},
    ],
)
def test_an_extra_that_cannot_work_is_refused_by_name(extra) -> None:
    with pytest.raises(DubConfigurationError, match=next(iter(extra))):
        read(extra)


def test_extras_that_mean_nothing_are_known_by_name() -> None:
    assert read({"time_limit": 5, "extra__dub__retry": 1}).unknown_extras == ("time_limit", "extra__dub__retry")


@pytest.mark.parametrize(
    "extra",
    ['{"workspace_slug": "acme",}', "{'workspace_slug': 'acme'}", "workspace_slug=acme", '["acme"]', '"acme"', "0", 5],
)
def test_an_extra_that_is_no_json_object_is_refused_since_it_may_hold_a_guard(extra) -> None:
    with pytest.raises(DubConfigurationError, match="extra of the connection dub_test is not a JSON object") as refused:
        read_unchecked(extra=extra)
    assert "acme" not in str(refused.value).replace('{"workspace_slug": "acme"}', "")


def test_an_extra_may_come_as_a_mapping() -> None:
    assert read_unchecked(extra={"workspace_slug": "acme"}).workspace_slug == "acme"


@pytest.mark.parametrize("plain", [{}, {"workspace_slug": None}, {"workspace_slug": ""}])
def test_an_extra_of_an_old_form_is_read_where_the_plain_one_is_missing(plain) -> None:
    assert read({"extra__dub__workspace_slug": "acme", **plain}) == read({"workspace_slug": "acme"})
    assert read({"workspace_slug": "acme", "extra__dub__workspace_slug": "old"}) == read({"workspace_slug": "acme"})


@pytest.mark.parametrize(
    "name", ["workspaceSlug", "workspace-slug", "Workspace_Slug", " workspace_slug", "extra__dub__workspaceSlug"]
)
def test_an_extra_whose_name_is_spelled_otherwise_is_an_error_that_names_it(name: str) -> None:
    with pytest.raises(DubConfigurationError, match=f'"{name}" of the connection dub_test .* workspace_slug') as error:
        read({name: "acme"})
    assert "acme" not in str(error.value)


@given(
    st.dictionaries(
        st.text(), st.one_of(st.none(), st.text(), st.integers(), st.floats(), st.booleans(), st.lists(st.text()))
    )
)
def test_any_extra_is_read_or_refused(extra) -> None:
    try:
        read(extra)
    except DubConfigurationError as refused:
        assert "dub_test" in str(refused)
