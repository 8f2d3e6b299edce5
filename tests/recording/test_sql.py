"""The keyword of any text that may be a statement."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_tutor.recording.sql import keyword

STATEMENTS = {
    "": "",
    "/* only a comment */": "",
    "-- only a comment": "",
    "(select 1) union (select 2)": "select",
    ";; select 1": "select",
    "# a comment of MySQL\nupdate t set a = 1": "update",
    "/*! STRAIGHT */ select 1": "select",
    "with x as materialized (select 1) delete from y": "delete",
    "with x as (select 1) merge into y using x on true when matched then delete": "merge",
    "with x as (select 1": "with",  # it is cut off
    "{call refresh()}": "call",
    "\ufeffselect 1": "select",
    "DO $$ begin select 1; end $$": "DO",
    "with " * 100_000: "with",
}


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement[:40] or "empty")
def test_a_keyword_stands_behind_comments_parentheses_and_expressions(statement: str) -> None:
    assert keyword(statement) == STATEMENTS[statement]


@given(text=st.text() | st.text(alphabet="()-/*#'\"; \nwithselect") | st.none() | st.binary())
@settings(max_examples=300, deadline=None)
def test_any_text_has_a_word_or_none(text: object) -> None:
    word = keyword(text)

    assert word == "" or word.replace("_", "a").isalpha()
