"""What XCom can hold."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_dub.operators.xcom import as_storable

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet=st.sampled_from("ab\0\ud800\udfffé😀")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(alphabet=st.sampled_from("ab\0"), max_size=3), inner, max_size=3)
    ),
)


@given(json_values)
def test_what_returns_is_without_characters_that_postgresql_rejects(value) -> None:
    storable, replaced = as_storable(value)
    written = json.dumps(storable, ensure_ascii=False)
    assert "\\u0000" not in written
    written.encode()
    assert replaced == (json.dumps(storable) != json.dumps(value))
    assert replaced or storable is value
    assert as_storable(storable) == (storable, False)


def test_the_name_of_a_character_is_not_the_character() -> None:
    assert as_storable({"name": "\\u0000"}) == ({"name": "\\u0000"}, False)
    assert as_storable([{"na\0me": "a\0"}]) == ([{"na\ufffdme": "a\ufffd"}], True)
