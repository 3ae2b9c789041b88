"""Any value that a cell may hold, as a strategy of Hypothesis."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
from hypothesis import strategies as st

anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.decimals(),
    st.text(),
    st.binary(),
    st.uuids(),
    st.datetimes(),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.lists(st.integers()),
    st.dictionaries(st.text(), st.integers()),
    st.sampled_from(
        [pd.NA, pd.NaT, np.nan, np.float32(1.5), np.int64(7), np.bool_(True), np.datetime64("NaT"), object()]
    ),
    st.sampled_from(
        [np.datetime64("2026-01-01T00:00:00.000000001"), pd.Timestamp.max, pd.Timedelta(1), pd.Period("2026")]
    ),
    st.sampled_from([np.timedelta64(5, "D"), np.timedelta64(5, "ns"), np.timedelta64("NaT")]),
    st.sampled_from([Decimal("sNaN"), Decimal("1E+999999"), 10**5000, np.array([1, 2]), pd.DataFrame(), "\ud800"]),
)
