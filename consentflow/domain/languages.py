"""Choosing the language of a letter."""

import re
from collections.abc import Iterable
from functools import lru_cache

from babel.core import get_global
from babel.languages import get_official_languages

from consentflow.domain.letters import Language

_TAG = re.compile(r"([a-z]{2,3})(?:[-_.@].*)?", re.DOTALL)

_TOP_LEVEL_DOMAINS = {
    **dict.fromkeys(("de", "at", "li"), Language.GERMAN),
    **dict.fromkeys(("fr", "mc", "re"), Language.FRENCH),
    **dict.fromkeys(("it", "sm", "va"), Language.ITALIAN),
    **dict.fromkeys(("pt", "br"), Language.PORTUGUESE),
    **dict.fromkeys(("es", "mx", "ar", "cl", "pe", "uy"), Language.SPANISH),
}
"""Country domains that are used in one language. Those of several languages (.ch, .be, .lu) and those sold
all over the world as words (.co, .io, .me) say nothing about a reader."""


def letter_language(wanted: str | None, country: str | None, company_domain: str | None = None) -> Language:
    """The language a contact is written to in; always one that `Language` has.

    The contact's own language comes first. Where it is missing or not one we write, the country decides: the
    most spoken of its official languages (CLDR) that we write. Only where no country is known, the company's
    domain is asked. English is the last resort.

    Args:
        wanted: A language tag such as ``de-AT`` or ``pt_BR``, any case; None when the contact named none.
        country: ISO 3166-1 alpha-2; None when unknown.
        company_domain: The company's registrable domain; None when there is none.
    """
    spoken = _spoken_in(country) if country else ()
    top_level_domain = (company_domain or "").rpartition(".")[2] if country is None else ""
    return (
        _first_written([_primary_language(wanted or ""), *spoken])
        or _TOP_LEVEL_DOMAINS.get(top_level_domain)
        or Language.ENGLISH
    )


@lru_cache(256)
def _spoken_in(country: str) -> tuple[str, ...]:
    return tuple(get_official_languages(country, de_facto=True))


def _primary_language(tag: str) -> str:
    """The first subtag, as ISO 639-1 where CLDR knows the longer code (``deu``); empty for what is no tag."""
    match = _TAG.fullmatch(tag.strip().lower())
    if match is None:
        return ""
    aliases = get_global("language_aliases")
    return str(aliases.get(match[1], match[1]))


def _first_written(codes: Iterable[str]) -> Language | None:
    written = {str(language): language for language in Language}
    return next((written[code] for code in codes if code in written), None)
