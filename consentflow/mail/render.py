"""Letters, rendered: a subject, a text part and an HTML part that say the same.

Names and companies are untrusted: see `consentflow.mail.untrusted`.
"""

import re
import textwrap
from datetime import UTC
from enum import StrEnum
from typing import Final

from css_inline import CSSInliner

from consentflow.domain.letters import Language, LeadLetter, Letter, LetterKind, Recipient
from consentflow.domain.partner_letters import DigestLetter, PartnerLetterKind, SubscriptionLetter
from consentflow.domain.sign_in import SignInKind, SignInLetter
from consentflow.domain.source_letters import SourceLetter, SourceLetterKind
from consentflow.mail.message import Rendered
from consentflow.mail.partner_context import digest_context, subscription_context
from consentflow.mail.source_context import source_context
from consentflow.mail.times import date_in_words
from consentflow.mail.untrusted import Keep, as_it_is, glued, shown, unglued
from consentflow.templates.environment import environment, wording

KINDS: Final[tuple[StrEnum, ...]] = (*LetterKind, *SignInKind, *PartnerLetterKind, *SourceLetterKind)
"""Every letter there are templates for."""

TEXT_WIDTH = 76

_DOMAIN = re.compile(r"\w\.\w{2}")


class LetterRenderer:
    """Renders letters in every language. Build one and keep it: templates and catalogs are read once.

    Pure after construction: the same letter always gives the same result.
    """

    def __init__(self) -> None:
        self._jinja = {language: environment(language) for language in Language}
        for jinja in self._jinja.values():
            jinja.filters["wrapped"] = _wrapped
        self._versions = {
            (kind, language): wording(language, *_templates(kind)) for kind in KINDS for language in Language
        }
        self._inliner = CSSInliner(load_remote_stylesheets=False)

    def render(self, letter: Letter) -> Rendered:
        """The letter in its language.

        Raises:
            ValueError: A letter lacks what it is about: a double opt-in its confirm link or the end of its answering
                time, a notification its companies.
        """
        jinja = self._jinja[letter.language]
        words, text, html = (jinja.get_template(name) for name in _templates(letter.kind))
        context = _context(letter, as_it_is)
        return Rendered(
            subject=str(words.make_module(context).subject),  # type: ignore[attr-defined]
            text=unglued(text.render(_context(letter, glued))) + "\n",
            html=self._inliner.inline(html.render(context)),
            text_version=self._versions[letter.kind, letter.language],
        )


def _name(recipient: Recipient) -> str | None:
    name = shown(f"{recipient.given_name or ''} {recipient.family_name or ''}")
    return None if name is None or _DOMAIN.search(name) else name


def _templates(kind: StrEnum) -> tuple[str, str, str]:
    return f"mail/{kind}.words.txt", f"mail/{kind}.txt", f"mail/{kind}.html"


def _context(letter: Letter, keep: Keep) -> dict[str, object]:
    """What the letter's templates see. Every untrusted text goes through `shown`, and through `keep`."""
    match letter:
        case LeadLetter():
            return _lead_context(letter, keep)
        case SubscriptionLetter():
            return subscription_context(letter, keep)
        case DigestLetter():
            return digest_context(letter, keep)
        case SignInLetter():
            return {
                "controller": letter.controller,
                "door": letter.door,
                "link": letter.link,
                "minutes": int((letter.valid_until - letter.written_at).total_seconds() // 60),
            }
        case _ if isinstance(letter, SourceLetter):
            return source_context(letter, keep)
        case _:
            raise TypeError(type(letter).__name__)


def _lead_context(letter: LeadLetter, keep: Keep) -> dict[str, object]:
    if letter.kind is LetterKind.DOUBLE_OPT_IN and None in (letter.links.confirm, letter.answer_until):
        raise ValueError("a double opt-in needs a confirm link and an end of its answering time")
    until = letter.answer_until
    return {
        "name": keep(_name(letter.recipient)),
        "company": keep(shown(letter.company)),
        "address": letter.recipient.address,
        "controller": letter.controller,
        "links": letter.links,
        "answer_until": until and date_in_words(until.astimezone(UTC).date(), letter.language),
    }


def _wrapped(text: str, indent: str = "") -> str:
    """The text in lines of at most `TEXT_WIDTH`; a longer word (an address, a glued name) stays whole."""
    return textwrap.fill(
        text,
        TEXT_WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
