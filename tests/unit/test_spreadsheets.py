"""Tables for spreadsheet programs: what a program would run is led by an apostrophe, all else stays as it is."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentflow.domain.spreadsheets import as_csv, safe_cell


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+49 30 1", "-2", "@SUM(A1)", "\tx", "\rx", '=HYPERLINK("https://evil.example")', "=cmd|' /C calc'!A0"],
)
def test_what_begins_a_formula_is_led_by_an_apostrophe(text: str) -> None:
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "firma.example", "10.00", "a=b", "1-2", "'=1"])
def test_all_else_stays_as_it_is(text: str) -> None:
    assert safe_cell(text) == text


@given(st.lists(st.lists(st.text(), min_size=2, max_size=2), max_size=5))
def test_every_cell_comes_back_from_the_table_and_none_is_a_formula(rows: list[list[str]]) -> None:
    rows = [[cell.replace("\x00", "") for cell in row] for row in rows]
    table = list(csv.reader(io.StringIO(as_csv(("a", "b"), rows), newline="")))
    assert table == [["a", "b"], *([safe_cell(cell) for cell in row] for row in rows)]
    assert not [cell for row in table for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
