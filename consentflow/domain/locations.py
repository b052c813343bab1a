"""Reading the location that came with a registration.

Services send codes, old codes, names in their own language, or nothing. What resolves to exactly one country
is that country; everything else is unknown, which is an answer and never an error. Codes, their successors
and the names come from Unicode CLDR (through Babel); the tables below hold only what CLDR leaves out.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from babel import Locale
from babel.core import get_global

MAX_LENGTH = 200
"""Characters; anything longer is no country's name and is not looked at."""

NAME_LANGUAGES = (
    # The official languages of the EU.
    *("bg", "cs", "da", "de", "el", "en", "es", "et", "fi", "fr", "ga", "hr"),
    *("hu", "it", "lt", "lv", "mt", "nl", "pl", "pt", "ro", "sk", "sl", "sv"),
    # Those of the EEA, Switzerland and the candidate countries that are not among them.
    *("bs", "is", "ka", "mk", "nb", "rm", "sq", "sr", "tr", "uk"),
    # Large languages of elsewhere, in which a country at least writes its own name.
    *("ar", "he", "ja", "ko", "ru", "zh"),
)
"""The languages whose names of countries are understood (CLDR locales)."""

_NO_COUNTRIES = frozenset({"EU", "EZ", "IC", "EA", "UN", "XA", "XB", "ZZ", "QO"})
"""Two-letter CLDR territories that are unions, parts, test locales or the unknown region."""

_CODE_ALIASES = {
    "EL": "GR",  # the EU's own code for Greece, as in VAT numbers
    "IC": "ES",  # the Canary Islands, reserved in ISO 3166-1 for customs
    "EA": "ES",  # Ceuta and Melilla, likewise
    "XKX": "XK",  # Kosovo, as the World Bank and others write it
}
"""Codes in use that CLDR's territory aliases do not have."""

_SUBDIVISIONS_WITH_OWN_CODE = dict(
    pair.split("=")
    for pair in """
    CN-TW=TW CN-HK=HK CN-MO=MO CN-71=TW CN-91=HK CN-92=MO
    FI-01=AX FI-AX=AX
    FR-971=GP FR-972=MQ FR-973=GF FR-974=RE FR-975=PM FR-976=YT
    FR-977=BL FR-978=MF FR-984=TF FR-986=WF FR-987=PF FR-988=NC
    FR-GP=GP FR-MQ=MQ FR-GF=GF FR-RE=RE FR-PM=PM FR-YT=YT
    FR-BL=BL FR-MF=MF FR-TF=TF FR-WF=WF FR-PF=PF FR-NC=NC
    FR-GUA=GP FR-LRE=RE FR-MAY=YT FR-CP=CP
    NL-AW=AW NL-CW=CW NL-SX=SX NL-BQ1=BQ NL-BQ2=BQ NL-BQ3=BQ
    NO-21=SJ NO-22=SJ SH-AC=AC SH-TA=TA
    US-AS=AS US-GU=GU US-MP=MP US-PR=PR US-UM=UM US-VI=VI
    """.split()  # noqa: SIM905 (a table)
)
"""ISO 3166-2 subdivisions that are countries of ISO 3166-1 too, with the numbers they had before."""

_MORE_NAMES = {
    "AE": "UAE; VAE; The United Arab Emirates",
    "AT": "Republik Österreich; Republic of Austria",
    "BA": "Bosnia; Bosnien; Bosnien-Herzegowina; Bosnie; Bosnia-Herzegovina",
    "BN": "Brunei Darussalam",
    "BO": "Bolivia, Plurinational State of; Plurinational State of Bolivia",
    "BQ": "Bonaire, Sint Eustatius and Saba; Bonaire; BES Islands",
    "BS": "The Bahamas",
    "BY": "Weißrussland; Byelorussia",
    "CD": (
        "Democratic Republic of the Congo; Congo, Democratic Republic of the; DR Congo; DRC; Zaire; "
        "Congo, The Democratic Republic of the; Demokratische Republik Kongo; Congo (DRC)"
    ),
    "CG": "Republic of the Congo; Congo-Brazzaville; Republik Kongo",
    "CH": "Swiss Confederation; Schweizerische Eidgenossenschaft; Confoederatio Helvetica",
    "CI": "Ivory Coast; Elfenbeinküste",
    "CN": "People's Republic of China; PR China; Volksrepublik China; Mainland China",
    "CV": "Cape Verde; Kap Verde",
    "CZ": (
        "Czech Republic; The Czech Republic; Tschechische Republik; Tschechei; République tchèque; "
        "Repubblica Ceca; República Checa; Česká republika"
    ),
    "DE": "Federal Republic of Germany; Bundesrepublik Deutschland; BRD; Bundesrepublik",
    "DK": "Kingdom of Denmark",
    "FK": "Falkland Islands (Malvinas); Islas Malvinas",
    "FM": "Micronesia, Federated States of; Federated States of Micronesia",
    "GB": (
        "Great Britain; The United Kingdom; The UK; Britain; England; Scotland; Wales; Northern "
        "Ireland; United Kingdom of Great Britain and Northern Ireland; Großbritannien; Schottland; "
        "Nordirland; Grande-Bretagne; Angleterre; Écosse; Gran Bretagna; Inghilterra; Gran Bretaña; "
        "Inglaterra; Grã-Bretanha; Groot-Brittannië"
    ),
    "GM": "The Gambia",
    "GS": "South Georgia and the South Sandwich Islands",
    "HK": "Hong Kong; Hong Kong SAR",
    "HM": "Heard Island and McDonald Islands",
    "IE": "Republic of Ireland; Republik Irland",
    "IR": "Iran, Islamic Republic of; Islamic Republic of Iran",
    "KP": "Korea, Democratic People's Republic of; Democratic People's Republic of Korea; DPRK",
    "KR": "Korea, Republic of; Republic of Korea; Republik Korea; Korea (South)",
    "LA": "Lao People's Democratic Republic",
    "MD": "Moldova, Republic of; Republic of Moldova; Moldawien",
    "MF": "Saint Martin (French part); Saint-Martin (partie française)",
    "MK": (
        "Macedonia; Mazedonien; Macédoine; Republic of North Macedonia; FYROM; Macedonia, the former "
        "Yugoslav Republic of"
    ),
    "MM": "Myanmar; Burma; Birma; Birmanie; Birmania",
    "MO": "Macao; Macau",
    "NL": (
        "Holland; The Netherlands; Hollande; Olanda; Holanda; Netherlands, Kingdom of the; "
        "Netherlands (Kingdom of the); Kingdom of the Netherlands"
    ),
    "PH": "The Philippines",
    "PN": "Pitcairn",
    "PS": "Palestine; Palestine, State of; State of Palestine; Palästina",
    "RU": "Russian Federation; The Russian Federation; Russische Föderation",
    "SH": "Saint Helena, Ascension and Tristan da Cunha",
    "SK": "Slovak Republic; Slowakische Republik; Slovenská republika",
    "SX": "Sint Maarten (Dutch part); Saint Martin (Dutch part)",
    "SY": "Syrian Arab Republic",
    "SZ": "Swaziland; Swasiland",
    "TL": "East Timor; Osttimor",
    "TR": "Turkey; Türkiye; Republic of Türkiye",
    "TW": "Taiwan, Province of China; Taiwan (Province of China); Republic of China",
    "TZ": "Tanzania, United Republic of; United Republic of Tanzania",
    "UM": "United States Minor Outlying Islands",
    "US": (
        "United States of America; The United States; The United States of America; The USA; The US; "
        "Vereinigte Staaten von Amerika; États-Unis d'Amérique; Stati Uniti d'America; Estados Unidos "
        "de América; Estados Unidos da América"
    ),
    "VA": "Holy See; Holy See (Vatican City State); Vatican; Vatikan",
    "VE": "Venezuela, Bolivarian Republic of; Bolivarian Republic of Venezuela",
    "VG": "Virgin Islands, British; Virgin Islands (British)",
    "VI": "Virgin Islands, U.S.; Virgin Islands (U.S.); US Virgin Islands",
    "VN": "Viet Nam",
}
"""Everyday names, and the English short names of ISO 3166-1 that many forms offer, where CLDR has others."""

_OTHER_SPELLINGS: Mapping[str, Mapping[str, str]] = {
    "de": {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"},
    "en": {"&": "and", "St.": "Saint"},
}
"""What else is usual, by language: German without umlauts, English without CLDR's abbreviations."""

_SUBDIVISION = re.compile(r"([A-Za-z]{2})-[A-Za-z0-9]{1,3}")
_UNDECOMPOSED = str.maketrans(
    {"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ħ": "h", "\u0131": "i", "ð": "d", "þ": "th"}
)
"""Letters whose stroke or ligature Unicode does not decompose; the escape is Turkish dotless i."""

_APOSTROPHES = "'`\u00b4\u02b9\u02bb\u02bc\u2018\u2019\u201b\u2032"
_DASHES = "-\u2010\u2011\u2012\u2013\u2014"
_SEPARATORS = frozenset(" .,()&" + _APOSTROPHES + _DASHES)


@dataclass(frozen=True, slots=True)
class Location:
    """Where a contact is said to be.

    Args:
        received: What the registration said, exactly; None when it said nothing.
        country: ISO 3166-1 alpha-2, upper case, one of `countries`; None when unknown.
    """

    received: str | None
    country: str | None


def read_location(received: str | None) -> Location:
    """Read what a registration said about the contact's location; never fails.

    Understood, in any case and with forgiven space, hyphens, apostrophes and diacritics: alpha-2 and alpha-3
    codes, withdrawn ones that have exactly one successor, subdivision codes (``DE-BY`` is DE, ``FR-974`` RE)
    and names in `NAME_LANGUAGES`. A name that means two countries in two languages is unknown. So is a
    language tag such as ``sv-SE``, which would be read as El Salvador, unless both parts name one country.
    """
    if received in countries():  # nearly all say it so
        return Location(received, received)
    if received is None or len(received) > MAX_LENGTH:
        return Location(received, None)
    text = received.strip()
    country = _read_subdivision(text) if _SUBDIVISION.fullmatch(text) else _spellings().get(fold_name(text))
    return Location(received, country)


@cache
def countries() -> frozenset[str]:
    """Alpha-2 codes of all known countries: ISO 3166-1, its exceptional reservations (AC, TA, …) and XK."""
    return frozenset(code for code in _territories("en") if code.isalpha() and code not in _NO_COUNTRIES)


def fold_name(name: str) -> str:
    """The form names are compared in: without case, diacritics, spaces, hyphens, apostrophes, dots."""
    decomposed = unicodedata.normalize("NFKD", name.casefold().translate(_UNDECOMPOSED))
    return "".join(char for char in decomposed if not _is_ignored(char))


def _is_ignored(char: str) -> bool:
    return char in _SEPARATORS or char.isspace() or unicodedata.combining(char) > 0


def _read_subdivision(code: str) -> str | None:
    whole, part = code.split("-")
    country = _SUBDIVISIONS_WITH_OWN_CODE.get(code.upper()) or _spellings().get(fold_name(whole))
    return None if _is_language_of(whole, part.upper()) and part.upper() != country else country


def _is_language_of(code: str, territory: str) -> bool:
    """Whether a code is a language spoken in a territory, and in lower case, as language tags have it."""
    return code in get_global("territory_languages").get(territory, {})


@cache
def _spellings() -> Mapping[str, str]:
    """Every folded spelling that means exactly one country."""
    meanings: defaultdict[str, set[str]] = defaultdict(set)
    for spelling, country in (*_codes(), *_names()):
        meanings[fold_name(spelling)].add(country)
    return MappingProxyType({spelling: found.pop() for spelling, found in meanings.items() if len(found) == 1})


def _codes() -> Iterator[tuple[str, str]]:
    """Codes with the country they stand for today; withdrawn ones where they have one successor."""
    yield from ((code, code) for code in countries())
    yield from _CODE_ALIASES.items()
    for code, successors in get_global("territory_aliases").items():
        if code.isalpha() and len(successors) == 1 and successors[0] in countries():
            yield code, successors[0]


def _names() -> Iterator[tuple[str, str]]:
    """Names with the country they mean; names of a part that has no country code mean the whole."""
    for language in NAME_LANGUAGES:
        other_spellings = _OTHER_SPELLINGS.get(language, {})
        for code, name in _territories(language).items():
            country = _CODE_ALIASES.get(code, code)
            if country in countries():
                yield name, country
                yield _replace_all(name, other_spellings), country
    for country, names in _MORE_NAMES.items():
        yield from ((name, country) for name in names.split("; "))


def _territories(language: str) -> dict[str, str]:
    """CLDR's names of countries (two letters) and of UN regions (three digits) in a language."""
    return {str(code): str(name) for code, name in Locale(language).territories.items()}


def _replace_all(text: str, replacements: Mapping[str, str]) -> str:
    for old, new in replacements.items():
        text = text.replace(old, new)
    return text
