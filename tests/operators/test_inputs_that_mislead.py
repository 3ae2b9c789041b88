"""Inputs that name one row and mean another: none of them changes a customer that it does not name."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import polars as pl
import pytest

from airflow_provider_dub.exceptions import DubError, DubFixRowsError, DubFixSetupError
from airflow_provider_dub.sync.options import SyncOptions
from tests.support.stored import stored
from tests.support.update_operator import run

EXTERNAL = {"external_id_column": "user_id"}


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_an_input_without_any_of_the_columns_keeps_the_others_in_their_rows(connected, frame: Any, tmp_path) -> None:
    strangers = frame({"other": ["x1", "x2"]})
    rows = frame({"user_id": ["user_1", "user_2", "user_1"], "name": ["Old", "Two" * 100, "New"]})
    rejected = tmp_path / "rejected.jsonl"
    _, summary = run([strangers, rows], on_duplicate="last", max_failures=3, rejected_path=str(rejected), **EXTERNAL)
    assert (summary["updated"], summary["superseded"], summary["rejected"]) == (1, 1, 3)
    assert stored(connected, externalId="user_1")["name"] == "New"
    lines = [json.loads(line) for line in rejected.read_text().splitlines()]
    assert [(line["dub_row"], line.get("other"), line.get("user_id")) for line in lines] == [
        (0, "x1", None),
        (1, "x2", None),
        (3, None, "user_2"),
    ]


def test_a_line_that_is_cut_off_in_one_of_several_files_is_one_rejected_row(connected, tmp_path) -> None:
    one, other = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    one.write_text('{"user_id": "user_1", "name": "One"}\n{"user_id": "us\n')
    other.write_text('{"user_id": "user_2", "name": "Two", "country": "US"}\n')
    _, summary = run([str(one), str(other)], max_failures=5, **EXTERNAL)
    assert (summary["updated"], summary["rejected"]) == (2, 1)


@pytest.mark.parametrize(
    ("name", "content", "why", "kept"),
    [
        (
            "rows.csv",
            "user_id,name\nuser_1,Ada, Countess\n",
            "as many cells as its header",
            ["user_1", "Ada", " Countess"],
        ),
        ("rows.jsonl", '{"user_id": "user_1", "name": "A"}\n{"user\n', "a whole JSON object", '{"user\n'),
    ],
)
def test_a_line_that_is_no_row_is_rejected_whole_with_what_a_line_must_be(
    connected, tmp_path, name, content, why, kept
) -> None:
    path, rejected = tmp_path / name, tmp_path / "rejected.jsonl"
    path.write_text(content)
    message, summary = run(str(path), rejected_path=str(rejected), fails=DubFixRowsError, **EXTERNAL)
    assert (why in message, summary["rejected"]) == (True, 1)
    assert json.loads(rejected.read_text())["row"] == kept


@pytest.mark.parametrize("wrap", [lambda path: (path,), lambda path: [[path]], lambda path: [path], lambda path: path])
def test_the_file_of_rejected_rows_is_never_an_input(connected, tmp_path, wrap) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(content := '{"id": "cus_1LABA", "name": "A"}\n')
    with pytest.raises((DubError, DubFixSetupError), match=r"must not be the file of customers|must be"):
        run(wrap(str(path)), rejected_path=str(path))
    assert path.read_text() == content


def test_rejected_rows_can_be_mended_and_sent_again_however_the_id_column_is_spelled(connected, tmp_path) -> None:
    path = tmp_path / "rejected.jsonl"
    rows = pd.DataFrame({"USER_ID": ["user_1", "user_2", None], "NAME": ["n" * 200, "x" * 200, "Ok"]})
    run(rows, rejected_path=str(path), fails=DubFixRowsError, **EXTERNAL)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert all("user_id" not in line for line in lines)
    lines[2]["USER_ID"] = "ext_weird"
    path.write_text("".join(json.dumps(line | {"NAME": "mended"}) + "\n" for line in lines))
    _, summary = run(str(path), **EXTERNAL)
    assert summary["updated"] == 3


@pytest.mark.parametrize("nothing", ["None", " none ", ""])
def test_a_path_that_renders_to_none_is_no_file(connected, tmp_path, monkeypatch, nothing: str) -> None:
    monkeypatch.chdir(tmp_path)
    returned, _ = run([{"id": "cus_1LABA", "name": "A"}], rejected_path=nothing, records_path=nothing)
    assert (len(returned), [*tmp_path.iterdir()]) == (1, [])


def test_a_share_of_failures_as_high_as_allowed_is_allowed() -> None:
    assert [n for n in range(1, 100) if not SyncOptions(max_failure_rate=float(f"0.{n:02}")).allows(n, 100)] == []
    assert not SyncOptions(max_failure_rate=0.29).allows(30, 100)


def test_a_url_that_dub_cannot_fetch_leaves_the_avatar_as_it_is(connected) -> None:
    before = stored(connected, id="cus_1LABA")["avatar"]
    _, summary = run([{"id": "cus_1LABA", "avatar": "s3://bucket/ada.png"}], fails=DubFixRowsError)
    assert (summary["rejected"], summary["updated"]) == (1, 0)
    assert before
    assert stored(connected, id="cus_1LABA")["avatar"] == before


@pytest.mark.parametrize("spelling", ["cus_1LABA ", " cus_1LABA", "cus_1LABA.rsc", "cus_1LAB%41", "cus_", "cus_1LABÁ"])
def test_an_id_of_dubs_that_is_not_written_as_one_is_never_sent(connected, spelling: str) -> None:
    message, summary = run([{"id": spelling, "name": "wrong"}], fails=DubFixRowsError)
    assert summary["rejected"] == 1
    assert "is not a Dub id" in message
    assert connected.requests == []


def test_a_file_without_a_header_shows_nothing_of_its_first_customer(connected, tmp_path, logged) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("user_1,ada@example.com,Ada Lovelace,GB\nuser_2,grace@example.com,Grace Hopper,US\n")
    with pytest.raises(DubFixSetupError, match='no column "user_id"') as refused:
        run(str(path), **EXTERNAL)
    assert not any(value in str(refused.value) + logged() for value in ("user_1", "ada@", "Lovelace", '"GB"'))


def test_blanks_around_an_id_of_dubs_are_removed_on_request(connected) -> None:
    _, summary = run([{"id": "\tcus_1LABA  ", "name": "Ada"}], strip=True)
    assert summary["updated"] == 1
    assert stored(connected, id="cus_1LABA")["name"] == "Ada"


def test_ids_of_dubs_in_another_case_end_the_run_at_the_first(connected) -> None:
    ids = ["cus_1LABA", "cus_1LABB", "cus_1LABD"]
    rows = [{"id": each.lower(), "name": "wrong"} for each in ids]
    message, summary = run(rows, max_workers=1, fails=DubFixSetupError)
    assert "WAS changed" in message
    assert "LOWER" in message
    assert (summary["failed"], summary["not_attempted"]) == (1, 2)
    assert [stored(connected, id=each)["name"] == "wrong" for each in ids] == [True, False, False]
