"""Reading the location of a registration."""

from collections import defaultdict
from collections.abc import Callable

import pytest
from babel import Locale
from babel.core import get_global
from hypothesis import given, settings
from hypothesis import strategies as st

from consentflow.domain.locations import (
    MAX_LENGTH,
    NAME_LANGUAGES,
    Location,
    countries,
    fold_name,
    read_location,
)

EU_LANGUAGES = {
    *("bg", "cs", "da", "de", "el", "en", "es", "et", "fi", "fr", "ga", "hr"),
    *("hu", "it", "lt", "lv", "mt", "nl", "pl", "pt", "ro", "sk", "sl", "sv"),
}
CLDR_NAMES = [
    (language, code, str(name))
    for language in NAME_LANGUAGES
    for code, name in Locale(language).territories.items()
    if code in countries()
]


def country_of(received: str | None) -> str | None:
    return read_location(received).country


@pytest.mark.parametrize(
    ("received", "country"),
    [
        ("DE", "DE"),
        ("de", "DE"),
        ("Deu", "DE"),
        ("Deutschland ", "DE"),
        ("\tdeutschland\n", "DE"),
        ("Allemagne", "DE"),
        ("Alemanha", "DE"),
        ("Germany", "DE"),
        ("ＤＥ", "DE"),  # noqa: RUF001 (full-width letters)
        ("DD", "DE"),
        ("BRD", "DE"),
        ("Bundesrepublik Deutschland", "DE"),
        ("Österreich", "AT"),
        ("OESTERREICH", "AT"),
        ("Osterreich", "AT"),
        ("Svizzera", "CH"),
        ("Svizra", "CH"),
        ("UK", "GB"),
        ("uk", "GB"),
        ("U.K.", "GB"),
        ("England", "GB"),
        ("Scotland", "GB"),
        ("Great  Britain", "GB"),
        ("Großbritannien", "GB"),
        ("GROSSBRITANNIEN", "GB"),
        ("EL", "GR"),
        ("Ελλάδα", "GR"),
        ("ΕΛΛΑΔΑ", "GR"),
        ("IC", "ES"),
        ("EA", "ES"),
        ("Kanarische Inseln", "ES"),
        ("Holland", "NL"),
        ("The Netherlands", "NL"),
        ("Czech Republic", "CZ"),
        ("Tschechische Republik", "CZ"),
        ("Macedonia", "MK"),
        ("South Korea", "KR"),
        ("Korea, Republic of", "KR"),
        ("Russia", "RU"),
        ("Russian Federation", "RU"),
        ("USA", "US"),
        ("U.S.A.", "US"),
        ("United States of America", "US"),
        ("Türkei", "TR"),
        ("Tuerkei", "TR"),
        ("Turkiye", "TR"),
        ("TÜRKİYE", "TR"),
        ("Côte d'Ivoire", "CI"),
        ("Cote d’Ivoire", "CI"),
        ("cote d ivoire", "CI"),
        ("Ivory Coast", "CI"),
        ("Georgia", "GE"),
        ("Guinea", "GN"),
        ("Guinea-Bissau", "GW"),
        ("Guinea Bissau", "GW"),
        ("Equatorial Guinea", "GQ"),
        ("Papua New Guinea", "PG"),
        ("Niger", "NE"),
        ("Nigeria", "NG"),
        ("Dominica", "DM"),
        ("Dominican Republic", "DO"),
        ("Ireland", "IE"),
        ("Northern Ireland", "GB"),
        ("Bosnia and Herzegovina", "BA"),
        ("Saint Lucia", "LC"),
        ("Trinidad & Tobago", "TT"),
        ("Trinidad and Tobago", "TT"),
        ("Україна", "UA"),
        ("日本", "JP"),
        ("Norge", "NO"),
        ("Ísland", "IS"),
    ],
)
def test_what_services_send_resolves_to_its_country(received: str, country: str) -> None:
    assert read_location(received) == Location(received, country)


@pytest.mark.parametrize(
    ("received", "country"),
    [
        ("Réunion", "RE"),
        ("La Réunion", "RE"),
        ("reunion", "RE"),
        ("Saint-Martin", "MF"),
        ("Saint Martin (French part)", "MF"),
        ("MF", "MF"),
        ("Sint Maarten", "SX"),
        ("Sint Maarten (Dutch part)", "SX"),
        ("SX", "SX"),
        ("Åland", "AX"),
        ("Åland Islands", "AX"),
        ("Ahvenanmaa", "AX"),
        ("Greenland", "GL"),
        ("Grönland", "GL"),
        ("Færøerne", "FO"),
        ("Kosovo", "XK"),
        ("xk", "XK"),
        ("XKX", "XK"),
        ("Guadeloupe", "GP"),
        ("Französisch-Guayana", "GF"),
        ("Mayotte", "YT"),
        ("Martinica", "MQ"),
        ("Nouvelle-Calédonie", "NC"),
        ("Jersey", "JE"),
        ("Gibraltar", "GI"),
        ("Vatican", "VA"),
    ],
)
def test_territories_near_the_eu_are_told_apart(received: str, country: str | None) -> None:
    assert country_of(received) == country


@pytest.mark.parametrize(
    ("received", "country"),
    [
        ("FR-974", "RE"),
        ("fr-974", "RE"),
        (" FR-RE ", "RE"),
        ("fr-re", "RE"),
        ("FR-MF", "MF"),
        ("FR-988", "NC"),
        ("FR-75", "FR"),
        ("FR-IDF", "FR"),
        ("NL-AW", "AW"),
        ("NL-SX", "SX"),
        ("NL-BQ1", "BQ"),
        ("NL-NH", "NL"),
        ("FI-01", "AX"),
        ("FI-18", "FI"),
        ("US-PR", "PR"),
        ("US-CA", "US"),
        ("US-DE", "US"),
        ("NO-21", "SJ"),
        ("CN-HK", "HK"),
        ("ES-CN", "ES"),
        ("DE-BY", "DE"),
        ("DE-BE", "DE"),
        ("AT-9", "AT"),
        ("UK-ENG", "GB"),
        ("EL-I", "GR"),
        ("EU-DE", None),
        ("ZZ-DE", None),
        ("DE-10115", None),
    ],
)
def test_a_subdivision_names_its_country_unless_it_has_a_code_of_its_own(received: str, country: str | None) -> None:
    assert country_of(received) == country


@pytest.mark.parametrize(
    ("received", "country"),
    [
        ("sv-SE", None),  # not El Salvador
        ("sv-se", None),
        ("sl-SI", None),  # not Sierra Leone
        ("ca-ES", None),  # not Canada
        ("de-AT", None),
        ("fr-CH", None),
        ("en-US", None),
        ("fr_CH", None),
        ("de-DE", "DE"),
        ("fr-FR", "FR"),
        ("fr-RE", "RE"),
        ("de-BY", "DE"),  # no German tag of Belarus, so Bavaria
    ],
)
def test_a_language_tag_is_not_taken_for_a_place(received: str, country: str | None) -> None:
    assert country_of(received) == country


@pytest.mark.parametrize(
    "received",
    [
        *("", " ", "\u00a0", "\x00", "-", "?", "n/a", "null", "unknown", "Europe", "Europäische Union"),
        *("EU", "eu", "EZ", "UN", "ZZ", "XX", "XA", "XB", "QO", "QUU", "EUR", "EUE", "001", "150", "276"),
        *("A", "D", "DE/AT", "DE;AT", "DE AT", "DE, AT", "DE?", "Korea", "Virgin Islands", "10115 Berlin"),
        *("'; drop table contact; --", "\ud800", "\u202eDE", "🇩🇪"),
    ],
)
def test_what_names_no_single_country_is_unknown(received: str) -> None:
    assert read_location(received) == Location(received, None)


def test_a_missing_location_is_unknown() -> None:
    assert read_location(None) == Location(None, None)


def test_an_overlong_location_is_unknown_whatever_it_says() -> None:
    assert country_of("DE".ljust(MAX_LENGTH)) == "DE"
    assert country_of("DE".ljust(MAX_LENGTH + 1)) is None


@pytest.mark.parametrize("code", sorted(countries()))
def test_every_country_code_reads_as_itself(code: str) -> None:
    assert country_of(code) == code
    assert country_of(f" {code.lower()} ") == code


def test_the_known_countries_are_those_of_iso_3166_and_kosovo() -> None:
    assert {"DE", "AX", "RE", "MF", "SX", "XK", "GB", "US"} <= countries()
    assert countries().isdisjoint({"EU", "EZ", "IC", "EA", "UN", "XA", "XB", "ZZ", "QO", "UK", "EL", "001"})
    assert all(len(code) == 2 and code.isascii() and code.isupper() for code in countries())


def test_every_alpha_3_code_reads_as_the_country_that_cldr_says() -> None:
    aliases = get_global("territory_aliases")
    alpha_3 = {code: now for code, now in aliases.items() if len(code) == 3 and code.isalpha()}
    assert len(alpha_3) > 250
    for code, successors in alpha_3.items():
        expected = successors[0] if len(successors) == 1 and successors[0] in countries() else None
        assert country_of(code) == expected


@pytest.mark.parametrize(
    ("code", "country"),
    [("DD", "DE"), ("BU", "MM"), ("TP", "TL"), ("ZR", "CD"), ("FX", "FR"), ("UK", "GB"), ("DDR", "DE")],
)
def test_a_withdrawn_code_with_one_successor_reads_as_that(code: str, country: str) -> None:
    assert country_of(code) == country


@pytest.mark.parametrize("code", ["YU", "SU", "AN", "CS", "NT", "PC", "YUG", "SUN", "ANT"])
def test_a_withdrawn_code_with_several_successors_is_unknown(code: str) -> None:
    assert country_of(code) is None


def ambiguous_names() -> set[str]:
    meanings: defaultdict[str, set[str]] = defaultdict(set)
    for _, code, name in CLDR_NAMES:
        meanings[fold_name(name)].add(code)
    return {name for name, codes in meanings.items() if len(codes) > 1}


def test_a_name_that_means_two_countries_in_two_languages_is_unknown() -> None:
    ambiguous = ambiguous_names()
    assert "kongo" in ambiguous
    assert {country_of(name) for name in ambiguous} == {None}


def test_every_cldr_name_in_every_language_reads_back_to_its_country() -> None:
    assert set(NAME_LANGUAGES).issuperset(EU_LANGUAGES)
    ambiguous = ambiguous_names()
    misread = [
        (language, code, name)
        for language, code, name in CLDR_NAMES
        if fold_name(name) not in ambiguous and country_of(name) != code
    ]
    assert misread == []
    assert len(ambiguous) < 5


@settings(deadline=None)  # whichever comes first loads the tables
@given(st.sampled_from(CLDR_NAMES), st.sampled_from([str.upper, str.lower, str.title, str.swapcase]))
def test_case_and_space_make_no_difference(entry: tuple[str, str, str], change_case: Callable[[str], str]) -> None:
    name = entry[2]
    assert country_of(f"  {change_case(name).replace(' ', '   ')}\t") == country_of(name)


@settings(deadline=None)  # whichever comes first loads the tables
@given(st.text() | st.from_regex(r"[A-Za-z]{2}-[A-Za-z0-9]{1,3}", fullmatch=True))
def test_reading_never_fails_keeps_what_was_received_and_answers_a_known_country_or_none(text: str) -> None:
    location = read_location(text)
    assert location.received == text
    assert location.country is None or location.country in countries()
