"""Reading the names of people and companies."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentflow.domain.errors import InvalidInput
from consentflow.domain.names import read_name

POINTER = "/contact/given_name"
ORDINARY = st.text(st.characters(exclude_categories=("C", "Zl", "Zp"))).filter(lambda text: "=?" not in text)


@pytest.mark.parametrize(
    "name",
    [
        "Anna",
        "O'Brien-Ng",
        "José María",
        "Jean‑Luc",  # noqa: RUF001 (non-breaking hyphen)
        "Łukasz Żółć",
        "李小龍",
        "محمد",
        "می\u200cخواهم",  # noqa: RUF001 (Persian)
        "क्\u200dष",
        "Müller & Söhne GmbH (Köln)",
        "<script>alert(1)</script>",
        "{{ 7*7 }}",
        "=1+1",
        "a?=b",
        "🙂",
    ],
)
def test_names_are_taken_as_they_are(name: str) -> None:
    assert read_name(name, POINTER) == name


@pytest.mark.parametrize("text", [None, "", " ", "\t\n", "\u00a0\u3000"])
def test_a_blank_name_is_no_name(text: str | None) -> None:
    assert read_name(text, POINTER) is None


def test_space_around_goes_and_space_within_becomes_one() -> None:
    assert read_name("  Anna \u00a0 Maria\n", POINTER) == "Anna Maria"


def test_names_are_composed() -> None:
    assert read_name("Mu\u0308ller", POINTER) == "Müller"


@pytest.mark.parametrize(
    "trick",
    [
        *("\x00", "\n", "\r", "\r\n", "\t", "\x1b", "\x7f", "\x85", "\u2028", "\u2029"),
        *("\u200e", "\u200f", "\u061c", "\u202a", "\u202b", "\u202c", "\u202d", "\u202e"),
        *("\u2066", "\u2067", "\u2068", "\u2069", "\u200b", "\u2060", "\ufeff", "\u00ad", "\U000e0041"),
        *("\ud800", "\udfff", "\ufdd0", "\uffff", "\U0010fffe"),
        *("=?", "=?utf-8?q?=0d=0aBcc:x?="),
    ],
)
def test_trick_characters_are_refused_without_repeating_them(trick: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        read_name(f"Anna{trick}Meier", POINTER)
    assert (refusal.value.pointer, refusal.value.code) == (POINTER, "forbidden_characters")
    assert "Meier" not in str(refusal.value)


def test_the_limit_counts_what_would_be_stored() -> None:
    assert read_name("  " + "u\u0308" * 200, POINTER) == "ü" * 200
    with pytest.raises(InvalidInput) as refusal:
        read_name("x" * 201, POINTER)
    assert (refusal.value.pointer, refusal.value.code) == (POINTER, "too_long")
    with pytest.raises(InvalidInput):
        read_name("xxx", POINTER, limit=2)


@given(ORDINARY)
def test_any_text_without_tricks_survives(text: str) -> None:
    name = read_name(text, POINTER, limit=10_000)
    assert (name or "").split() == unicodedata.normalize("NFC", text).split()


@given(st.text())
def test_what_was_read_once_reads_the_same_again(text: str) -> None:
    try:
        name = read_name(text, POINTER)
    except InvalidInput:
        return
    assert read_name(name, POINTER) == name
