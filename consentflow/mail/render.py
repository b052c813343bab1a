"""Letters, rendered: a subject, a text part and an HTML part that say the same.

Names and companies are untrusted: anybody may have typed anything. They are stripped to one short line,
escaped in HTML, and glued together in the text part so that no line breaks inside them.
"""

import re
import textwrap
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, TypeAlias

from babel.dates import format_date
from css_inline import CSSInliner

from consentflow.domain.letters import Language, LeadLetter, Letter, LetterKind, Recipient
from consentflow.domain.sign_in import SignInKind, SignInLetter
from consentflow.mail.message import Rendered
from consentflow.templates.environment import environment, wording

KINDS: Final[tuple[StrEnum, ...]] = (*LetterKind, *SignInKind)
"""Every letter there are templates for."""

Keep: TypeAlias = Callable[[str | None], str | None]
"""What is done to untrusted text before a template sees it."""

TEXT_WIDTH = 76
LONGEST_NAME = 100

# What mail clients turn into links. A bare domain is one too, but may well be how a company is known.
_ADDRESS = re.compile(r"://|\bwww\.|\S@\S|\w\.\w+/", re.IGNORECASE)
_DOMAIN = re.compile(r"\w\.\w{2}")
# Zero-width (non-)joiners, which Persian and Indic names are spelled with.
_JOINERS = "\u200c\u200d"
# Stands for a space within untrusted text until the lines are broken; `shown` leaves no such character in.
_GLUE = "\x1f"
_LOCALES = {Language.ENGLISH: "en_GB", Language.PORTUGUESE: "pt_PT"}


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
            ValueError: A double opt-in without its confirm link or without the end of its answering time.
        """
        jinja = self._jinja[letter.language]
        words, text, html = (jinja.get_template(name) for name in _templates(letter.kind))
        context = _context(letter, _as_it_is)
        return Rendered(
            subject=str(words.make_module(context).subject),  # type: ignore[attr-defined]
            text=text.render(_context(letter, _glued)).replace(_GLUE, " ") + "\n",
            html=self._inliner.inline(html.render(context)),
            text_version=self._versions[letter.kind, letter.language],
        )


def shown(text: str | None) -> str | None:
    """Untrusted text as a reader may see it: one short line of visible characters, or None.

    None also for what holds a web or mail address: mail clients would turn it into a link that is not ours.
    """
    line = " ".join("".join(map(_visible, text or "")).split())
    if not line or _ADDRESS.search(line):
        return None
    return line if len(line) <= LONGEST_NAME else line[: LONGEST_NAME - 1].rstrip() + "…"


def _name(recipient: Recipient) -> str | None:
    name = shown(f"{recipient.given_name or ''} {recipient.family_name or ''}")
    return None if name is None or _DOMAIN.search(name) else name


def _visible(char: str) -> str:
    if char in _JOINERS:
        return char
    match unicodedata.category(char):
        case "Cc" | "Zs" | "Zl" | "Zp":
            return " "
        case "Cf" | "Cs":
            return ""
        case _:
            return char


def _templates(kind: StrEnum) -> tuple[str, str, str]:
    return f"mail/{kind}.words.txt", f"mail/{kind}.txt", f"mail/{kind}.html"


def _context(letter: Letter, keep: Keep) -> dict[str, object]:
    """What the letter's templates see. Every untrusted text goes through `shown`, and through `keep`."""
    match letter:
        case LeadLetter():
            return _lead_context(letter, keep)
        case SignInLetter():
            return {
                "controller": letter.controller,
                "door": letter.door,
                "link": letter.link,
                "minutes": int((letter.valid_until - letter.written_at).total_seconds() // 60),
            }
        case _:
            raise TypeError(type(letter).__name__)


def _lead_context(letter: LeadLetter, keep: Keep) -> dict[str, object]:
    if letter.kind is LetterKind.DOUBLE_OPT_IN and None in (letter.links.confirm, letter.answer_until):
        raise ValueError("a double opt-in needs a confirm link and an end of its answering time")
    return {
        "name": keep(_name(letter.recipient)),
        "company": keep(shown(letter.company)),
        "address": letter.recipient.address,
        "controller": letter.controller,
        "links": letter.links,
        "answer_until": letter.answer_until and _date(letter.answer_until, letter.language),
    }


def _as_it_is(text: str | None) -> str | None:
    return text


def _glued(text: str | None) -> str | None:
    """The text so that no line breaks inside it."""
    return text and text.replace(" ", _GLUE)


def _date(instant: datetime, language: Language) -> str:
    """The instant's day in UTC, spelled out."""
    return format_date(instant.astimezone(UTC), format="long", locale=_LOCALES.get(language, language))


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
