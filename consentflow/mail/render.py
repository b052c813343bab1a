"""Letters, rendered: a subject, a text part and an HTML part that say the same.

Names and companies are untrusted: see `consentflow.mail.untrusted`.
"""

import re
import textwrap
from dataclasses import replace
from datetime import UTC, datetime, time
from enum import StrEnum
from functools import lru_cache
from typing import Final

from css_inline import CSSInliner
from jinja2 import Environment

from consentflow.domain.letters import Language, LeadLetter, LeadLinks, Letter, LetterKind, Recipient
from consentflow.domain.partner_letters import DigestLetter, PartnerLetterKind, SubscriptionLetter
from consentflow.domain.sign_in import SignInKind, SignInLetter
from consentflow.domain.source_letters import SourceLetter, SourceLetterKind
from consentflow.mail.message import Rendered
from consentflow.mail.outline import MARKS, Outline, is_plain, wrap_later
from consentflow.mail.partner_context import digest_context, subscription_context
from consentflow.mail.source_context import source_context
from consentflow.mail.times import date_in_words
from consentflow.mail.untrusted import Keep, as_it_is, glued, shown, unglued
from consentflow.templates.environment import environment, wording

KINDS: Final[tuple[StrEnum, ...]] = (*LetterKind, *SignInKind, *PartnerLetterKind, *SourceLetterKind)
"""Every letter there are templates for."""

TEXT_WIDTH = 76

_MOST_OUTLINES: Final = 128
"""Two kinds, six languages, with and without names, over midnight."""

_DOMAIN = re.compile(r"\w\.\w{2}")
_OTHER_SPACE = re.compile(r"[\t\n\x0b\x0c\r]")


class LetterRenderer:
    """Renders letters in every language. Build one and keep it: templates and catalogs are read once.

    Pure after construction: the same letter always gives the same result. Letters to leads are many and much alike:
    an `Outline` is kept of what they have in common, and to fill it in comes to the same as to render.
    """

    def __init__(self) -> None:
        self._jinja = {language: environment(language) for language in Language}
        self._marking = {language: jinja.overlay() for language, jinja in self._jinja.items()}
        for language, jinja in self._jinja.items():
            self._marking[language].filters = jinja.filters | {"wrapped": wrap_later}
            jinja.filters["wrapped"] = _wrapped
        self._versions = {
            (kind, language): wording(language, *_templates(kind)) for kind in KINDS for language in Language
        }
        self._inliner = CSSInliner(load_remote_stylesheets=False)
        self._outline = lru_cache(_MOST_OUTLINES)(self._drawn)

    def render(self, letter: Letter) -> Rendered:
        """The letter in its language.

        Raises:
            ValueError: A letter lacks what it is about: a double opt-in its confirm link or the end of its answering
                time, a notification its companies.
        """
        if isinstance(letter, LeadLetter):
            values = _values(letter, as_it_is)
            if is_plain(values) and not _names_us(letter):
                return self._outline(_marked(letter, values)).fill(values, _values(letter, glued))
        return self.render_whole(letter)

    def render_whole(self, letter: Letter) -> Rendered:
        """The same, whatever was kept from other letters."""
        subject, text, html = self._parts(letter, self._jinja[letter.language])
        return Rendered(subject, unglued(text), html, self._versions[letter.kind, letter.language])

    def _drawn(self, marked: LeadLetter) -> Outline:
        subject, text, html = self._parts(marked, self._marking[marked.language])
        version = self._versions[marked.kind, marked.language]
        return Outline(subject, text, html, wrap=_wrapped, text_version=version)

    def _parts(self, letter: Letter, jinja: Environment) -> tuple[str, str, str]:
        """Subject, text with the glue in it, and HTML."""
        words, text, html = (jinja.get_template(name) for name in _templates(letter.kind))
        context = _context(letter, as_it_is)
        return (
            str(words.make_module(context).subject),  # type: ignore[attr-defined]
            text.render(_context(letter, glued)) + "\n",
            self._inliner.inline(html.render(context)),
        )


def _values(letter: LeadLetter, keep: Keep) -> tuple[str | None, ...]:
    """What is the reader's own in a letter, as its templates see it: one for each of the `MARKS`."""
    links = letter.links
    name, company = keep(_name(letter.recipient)), keep(shown(letter.company))
    return name, company, letter.recipient.address, links.unsubscribe, links.preferences, links.confirm


def _marked(letter: LeadLetter, values: tuple[str | None, ...]) -> LeadLetter:
    """The letter with marks for its `_values`: all that is the same for every reader of one day."""
    name, company, address, unsubscribe, preferences, confirm = (
        None if value is None else mark for mark, value in zip(MARKS, values, strict=False)
    )
    until = letter.answer_until
    return replace(
        letter,
        recipient=Recipient(address or "", name, None),
        company=company,
        links=LeadLinks(unsubscribe or "", preferences or "", confirm, source_request=letter.links.source_request),
        written_at=datetime.min.replace(tzinfo=UTC),
        answer_until=until and datetime.combine(until.astimezone(UTC), time(), UTC),
    )


def _names_us(letter: LeadLetter) -> bool:
    """Whether the reader's address is, or holds, one that every letter makes a link."""
    controller = letter.controller
    targets = (controller.email, controller.dpo_email, controller.privacy_policy_url)
    return any(target in letter.recipient.address for target in targets)


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
    words = text.split(" ")
    if _OTHER_SPACE.search(text) or not all(map(str.strip, words)):
        return _wrapped_with_care(text, indent)
    lines = []
    line = indent + words[0]
    for word in words[1:]:
        if len(line) + 1 + len(word) > TEXT_WIDTH:
            lines.append(line)
            line = indent + word
        else:
            line += " " + word
    return "\n".join([*lines, line])


def _wrapped_with_care(text: str, indent: str) -> str:
    """The same for a text with any white space: of the two, the one that takes ten times as long."""
    return textwrap.fill(
        text,
        TEXT_WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
