"""Choosing the language of a letter."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consentflow.domain.languages import letter_language
from consentflow.domain.letters import Language
from consentflow.domain.locations import countries


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("tag", ["{}", "{}-AT", "{}_BR", "{}-Latn-CH", "{}_DE.UTF-8", " {} "])
def test_the_contacts_own_language_comes_first_in_any_spelling_of_its_tag(language: Language, tag: str) -> None:
    wanted = tag.format(language)
    assert letter_language(wanted, "US") is language
    assert letter_language(wanted.upper(), "DE", "firma.de") is language


@pytest.mark.parametrize(("wanted", "language"), [("deu", "de"), ("ger", "de"), ("fra", "fr"), ("por-BR", "pt")])
def test_three_letter_codes_are_understood(wanted: str, language: str) -> None:
    assert letter_language(wanted, "JP") == language


@pytest.mark.parametrize(
    ("country", "language"),
    [
        ("DE", "de"),
        ("AT", "de"),
        ("LI", "de"),
        ("CH", "de"),
        ("FR", "fr"),
        ("RE", "fr"),
        ("BE", "fr"),
        ("LU", "fr"),
        ("IT", "it"),
        ("SM", "it"),
        ("ES", "es"),
        ("MX", "es"),
        ("PT", "pt"),
        ("BR", "pt"),
        ("CA", "en"),
        ("IE", "en"),
        ("US", "en"),
        ("NL", "en"),
        ("DK", "en"),
        ("JP", "en"),
        ("XK", "en"),
    ],
)
def test_without_a_wish_the_country_decides(country: str, language: str) -> None:
    assert letter_language(None, country) == language


@pytest.mark.parametrize("wanted", [None, "", " ", "nl", "rm-CH", "gsw", "x-klingon", "german please", "d", "-"])
def test_a_wish_we_cannot_meet_counts_for_nothing(wanted: str | None) -> None:
    assert letter_language(wanted, "AT") is Language.GERMAN
    assert letter_language(wanted, None) is Language.ENGLISH


def test_a_swiss_contact_is_written_to_in_the_language_it_asked_for_else_in_german() -> None:
    assert letter_language("fr-CH", "CH") is Language.FRENCH
    assert letter_language("it", "CH") is Language.ITALIAN
    assert letter_language(None, "CH", "societe.ch") is Language.GERMAN


@pytest.mark.parametrize(
    ("domain", "language"),
    [
        ("firma.de", "de"),
        ("firma.at", "de"),
        ("societe.fr", "fr"),
        ("rossi.it", "it"),
        ("empresa.es", "es"),
        ("empresa.com.br", "pt"),
        ("firma.ch", "en"),
        ("firma.be", "en"),
        ("start-up.io", "en"),
        ("shop.co", "en"),
        ("company.com", "en"),
        ("firma.example", "en"),
        ("", "en"),
        (None, "en"),
    ],
)
def test_the_companys_domain_is_a_hint_when_no_country_is_known(domain: str | None, language: str) -> None:
    assert letter_language(None, None, domain) == language


def test_the_companys_domain_says_nothing_against_a_known_country() -> None:
    assert letter_language(None, "NL", "firma.de") is Language.ENGLISH


@settings(deadline=None)  # whichever comes first loads the tables
@given(st.none() | st.text(), st.none() | st.sampled_from(sorted(countries())), st.none() | st.text())
def test_there_is_always_a_language_we_write(wanted: str | None, country: str | None, domain: str | None) -> None:
    assert letter_language(wanted, country, domain) in Language
