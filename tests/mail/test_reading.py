"""Frozen mails read back for officers: what they say, and nothing that opens a door."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentflow.domain.letters import Language
from consentflow.mail.message import freeze
from consentflow.mail.reading import read_frozen, without_tokens
from consentflow.mail.render import LetterRenderer
from consentflow.mail.samples import TOKEN, sample_letters
from consentflow.preview import SENDER

RENDERER = LetterRenderer()


@pytest.mark.parametrize(("name", "language"), list(product(sample_letters(Language.ENGLISH), Language)))
def test_every_letter_reads_as_it_was_written_but_for_the_ends_of_its_links(name: str, language: Language) -> None:
    letter = sample_letters(language)[name]
    rendered = RENDERER.render(letter)
    frozen = freeze(
        rendered,
        sender=SENDER,
        recipient=letter.recipient.address,
        recipient_name="Lea Müller",
        key=name,
        language=language,
        written_at=letter.written_at,
        unsubscribe_url=letter.one_click,
    )
    read = read_frozen(frozen.content)
    assert read.subject == rendered.subject.replace("\xa0", " ")  # the parser reads any space as one
    assert read.to == f"Lea Müller <{letter.recipient.address}>"
    assert read.text.replace("\r\n", "\n").strip() == rendered.text.replace(TOKEN, "…").strip()
    assert TOKEN not in read.text


@given(
    st.text("ABCxyz019-_", min_size=22, max_size=22),
    st.sampled_from(["", " ", ">", ".", ")", "\n"]),
    st.sampled_from(["confirm", "unsubscribe", "preferences", "identity", "partner/sign-in", "console/sign-in"]),
)
def test_no_token_stays_whatever_follows_it(token: str, after: str, path: str) -> None:
    link = f"https://consent.example/{path}/"
    assert without_tokens(f"See {link}{token}{after}") == f"See {link}…{after}"


def test_other_links_stay_whole() -> None:
    text = "https://vendor.example/privacy, https://vendor.example/a-page-with-a-rather-long-name and lea@firma.example"
    assert without_tokens(text) == text
