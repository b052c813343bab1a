"""What the templates of mails about data-source requests see."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from babel.lists import format_list

from consentflow.domain.letters import Language
from consentflow.domain.source_intake import read_text
from consentflow.domain.source_letters import (
    OfficerReminderLetter,
    Source,
    SourceDecisionLetter,
    SourceExtensionLetter,
    SourceIdentityLetter,
    SourceLetter,
    SourceReceiptLetter,
)
from consentflow.mail.times import date_in_words, locale_of
from consentflow.mail.untrusted import Keep


@dataclass(frozen=True, slots=True)
class SourceShown:
    """A source in the reader's words. ``person`` is None when it is not known."""

    partner: str
    person: str | None
    day: str
    kind: str


def source_context(letter: SourceLetter, keep: Keep) -> dict[str, object]:
    """What every such mail's templates see, and what only those of its kind do."""
    return {
        "controller": letter.controller,
        "number": letter.request_id,
        "received": _day(letter.received_on, letter.language),
    } | _of_its_kind(letter, keep)


def _of_its_kind(letter: SourceLetter, keep: Keep) -> dict[str, object]:
    language = letter.language
    match letter:
        case SourceReceiptLetter():
            return {
                "address": letter.recipient.address,
                "answer_by": _day(letter.answer_by, language),
                "swiss": letter.swiss,
                "asks_identity": letter.asks_identity,
            }
        case SourceIdentityLetter():
            return {"confirm": letter.confirm, "confirm_by": _day(letter.confirm_by, language)}
        case SourceExtensionLetter():
            return {
                "address": letter.recipient.address,
                "first_day": _day(letter.first_day, language),
                "answer_by": _day(letter.answer_by, language),
                "swiss": letter.swiss,
                "reasons": _paragraphs(letter.reason),
            }
        case SourceDecisionLetter():
            return {
                "address": letter.recipient.address,
                "also_received": _days(letter.also_received_on, language),
                "outcome": letter.outcome.value,
                "extent": letter.extent.value if letter.extent else None,
                "sources": [_source(each, language, keep) for each in letter.sources],
                "reasons": _paragraphs(letter.reason),
                "swiss": letter.swiss,
            }
        case OfficerReminderLetter():
            return {
                "answer_by": _day(letter.answer_by, language),
                "days_left": letter.days_left,
                "confirmed": letter.confirmed,
                "page": letter.page,
            }


def _source(source: Source, language: Language, keep: Keep) -> SourceShown:
    """A partner is named as it is known: shortened or left out it would be no answer."""
    name = " ".join((read_text(source.partner) or "").split())
    return SourceShown(
        partner=keep(name) or "?",
        person=source.person,
        day=_day(source.registered_on, language),
        kind=source.kind.value,
    )


def _paragraphs(text: str | None) -> list[str]:
    """An officer's text, a paragraph a line."""
    return [line for line in (read_text(text) or "").split("\n") if line]


def _days(days: Sequence[date], language: Language) -> str:
    in_words = [_day(day, language) for day in dict.fromkeys(days)]
    return format_list(in_words, locale=locale_of(language)) if in_words else ""


def _day(day: date, language: Language) -> str:
    return date_in_words(day, language)
