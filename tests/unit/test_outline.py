"""A letter that is filled in is, byte for byte, the letter that is rendered whole."""

import quopri
import textwrap
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from consentflow.domain.letters import Language, LeadLetter, LeadLinks, LetterKind, Recipient
from consentflow.mail.message import Sender, freeze, quoted_printable
from consentflow.mail.render import TEXT_WIDTH, LetterRenderer, _wrapped
from consentflow.mail.samples import CONTROLLER, LINKS

RENDERER = LetterRenderer()
SENDER = Sender("Musterwerk", "privacy@musterwerk.example", None, None, "musterwerk.example")
LETTERS = list(product(LetterKind, Language))

ODD = (
    "Lea",
    "<b>&amp;\"'</b>",
    "ליאה",
    "محمد\u200c\u200dرضا",  # noqa: RUF001 - a name
    "\u202eevil\u2066",
    "👩🏽\u200d💻 e\u0301",
    "a\u00a0b\u2003c\u2028d",
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
    "many words " * 20,
    "%(name)s {{ name }} % \\ = =20 .",
    "\ufdd0\ufdd1\ufdef\ue000",
    "\x1f \x00 \x85 \ud800",
    CONTROLLER.name,
)
texts = st.none() | st.sampled_from(ODD) | st.text(max_size=120)
addresses = st.sampled_from(
    [
        "lea.muster@firma.example",
        "ä&<>'\"@firma.example",
        f"{'x' * 64}@{'long-' * 11}domain.example",
        CONTROLLER.email,
        f"not-{CONTROLLER.dpo_email}",
        "two words\u00a0@firma.example",
    ]
) | st.text(min_size=1, max_size=60)
links = st.builds(
    LeadLinks,
    st.sampled_from(["https://c.example/unsubscribe/u_-1", "https://c.example/?a=1&b=<2>'\"\u00a0"]),
    st.just(LINKS.preferences),
    st.just(LINKS.confirm),
    source_request=st.just(LINKS.source_request),
)


def letter(
    kind: LetterKind, language: Language, recipient: Recipient, company: str | None, own: LeadLinks
) -> LeadLetter:
    asks = kind is LetterKind.DOUBLE_OPT_IN
    return LeadLetter(
        kind=kind,
        language=language,
        recipient=recipient,
        company=company,
        controller=CONTROLLER,
        links=own if asks else replace(own, confirm=None),
        written_at=datetime(2026, 11, 22, 9, tzinfo=UTC),
        answer_until=datetime(2026, 12, 21, 23, 59, 59, tzinfo=UTC) if asks else None,
    )


letters = st.builds(
    lambda sort, *parts: letter(*sort, *parts),
    st.sampled_from(LETTERS),
    st.builds(Recipient, addresses, texts, texts),
    texts,
    links,
)


@settings(deadline=None)  # the first of a language reads its templates
@given(letters)
@example(letter(LetterKind.NOTICE, Language.GERMAN, Recipient(CONTROLLER.email, "a", None), "b", LINKS))
def test_a_letter_that_is_filled_in_is_the_one_that_is_rendered(original: LeadLetter) -> None:
    filled, rendered = RENDERER.render(original), RENDERER.render_whole(original)
    assert (filled.subject, filled.text, filled.html) == (rendered.subject, rendered.text, rendered.html)
    assert filled.text_version == rendered.text_version
    if filled.octets:
        assert filled.octets == (quoted_printable(rendered.text), quoted_printable(rendered.html))


@pytest.mark.parametrize(("kind", "language"), LETTERS)
@pytest.mark.parametrize("given_name", [None, *ODD])
def test_the_mail_is_the_same_to_the_byte(kind: LetterKind, language: Language, given_name: str | None) -> None:
    original = letter(kind, language, Recipient("lea@firma.example", given_name, "Muster"), given_name, LINKS)
    filled, rendered = (
        freeze(
            made,
            sender=SENDER,
            recipient="lea@firma.example",
            recipient_name=None,
            key="key",
            language=language,
            written_at=original.written_at,
            unsubscribe_url=original.one_click,
        )
        for made in (RENDERER.render(original), RENDERER.render_whole(original))
    )
    assert filled == rendered


def test_usual_letters_are_filled_in() -> None:
    assert all(
        RENDERER.render(letter(*sort, Recipient("lea@firma.example", "Zoë", "O’Neill"), "A & B", LINKS)).octets
        for sort in LETTERS
    )


@given(st.text(alphabet=st.characters() | st.sampled_from("  \n\t.=ä"), max_size=400))
def test_quoted_printable_line_by_line_is_that_of_the_whole(text: str) -> None:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    try:
        whole = quopri.encodestring("".join(f"{line}\r\n" for line in lines).encode())
    except UnicodeEncodeError:
        with pytest.raises(UnicodeEncodeError):
            quoted_printable(text)
    else:
        assert quoted_printable(text) == whole == b"".join(map(quoted_printable, lines))


@given(
    st.lists(st.text(alphabet="abcä-.\x1f\u00a0\u2003\u200b", max_size=30) | st.just("x" * 90), max_size=40).map(
        " ".join
    )
    | st.text(alphabet="ab \t\n\x0b\x0c\r\x1c\u2028", max_size=200),
    st.sampled_from(["", "  "]),
)
def test_lines_break_where_the_standard_library_breaks_them(text: str, indent: str) -> None:
    assert _wrapped(text, indent) == textwrap.fill(
        text,
        TEXT_WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
