"""Each letter about a data-source request in every language: complete, alike in both parts, silent where it must be."""

import re
from dataclasses import fields, is_dataclass, replace
from datetime import date
from functools import cache
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consentflow.domain.letters import Language, Letter
from consentflow.domain.registrations import Kind
from consentflow.domain.source_letters import (
    OfficerReminderLetter,
    Source,
    SourceDecisionLetter,
    SourceExtensionLetter,
    SourceLetterKind,
)
from consentflow.domain.source_requests import Extent
from consentflow.mail.message import Rendered
from consentflow.mail.render import TEXT_WIDTH, LetterRenderer
from consentflow.mail.samples import CONTROLLER, PUBLIC_URL, TOKEN, WRITTEN_AT
from consentflow.mail.source_samples import source_letters
from tests.unit.test_letters_rendered import MAIL_ADDRESS, URL, Page, parts, spaced_once

RENDERER = LetterRenderer()


def letters(language: Language) -> dict[str, Letter]:
    return source_letters(language, CONTROLLER, WRITTEN_AT, PUBLIC_URL, TOKEN)


NAMES = sorted(letters(Language.ENGLISH))
LETTERS = pytest.mark.parametrize(("name", "language"), list(product(NAMES, Language)))
LANGUAGES = pytest.mark.parametrize("language", Language)
PARTNER, PERSON = "Beispiel Vertrieb & Söhne GmbH", "ana@beispiel-vertrieb.example"
TOLD_IN = {"source-disclosed": {PARTNER, PERSON}, "source-partly": {PARTNER}}
"""Which letters tell a source, and what of it."""
WITH_REASON = {
    "source-extension",
    "source-extension-swiss",
    "source-partly",
    "source-partly-category",
    "source-refused",
}
WITHOUT_ALL = {"source-partly", "source-partly-category", "source-refused", "source-not-found", "source-abandoned"}


@cache
def rendered(name: str, language: Language) -> Rendered:
    return RENDERER.render(letters(language)[name])


@LETTERS
def test_both_parts_say_the_same(name: str, language: Language) -> None:
    letter = rendered(name, language)
    # The one writes the controller's address in one line and a link with words, the other in lines and as it is.
    text, _, _ = letter.text.rpartition(CONTROLLER.name)
    *blocks, _, _, _ = Page(letter.html).blocks
    assert [block for block in blocks if block not in spaced_once(letter.text)] == []
    assert set(text.replace(":", "").split()) == set(" ".join(blocks).replace(":", "").split())


@LETTERS
def test_both_parts_carry_the_same_links(name: str, language: Language) -> None:
    letter = rendered(name, language)
    links = {link for link in Page(letter.html).links if not link.startswith("mailto:")}
    assert links == set(URL.findall(letter.text))
    assert links - {CONTROLLER.privacy_policy_url} == {
        "source-identity": {f"{PUBLIC_URL}/identity/{TOKEN}"},
        "officer-reminder": {f"{PUBLIC_URL}/console/requests/sr-4f0c9a1b77e2"},
        "officer-reminder-overdue": {f"{PUBLIC_URL}/console/requests/sr-4f0c9a1b77e2"},
    }.get(name, set())


@LETTERS
def test_a_source_stands_only_where_an_officer_decided_so(name: str, language: Language) -> None:
    letter = rendered(name, language)
    for text in parts(letter).values():
        assert {told for told in (PARTNER, PERSON) if told in text} == TOLD_IN.get(name, set())
    known = {CONTROLLER.email, CONTROLLER.dpo_email, "lea.muster@firma.example", PERSON}
    assert set(MAIL_ADDRESS.findall(letter.text)) <= known


@LETTERS
def test_what_is_withheld_comes_with_reasons_authority_and_court(name: str, language: Language) -> None:
    for text in parts(rendered(name, language)).values():
        assert ("Whoever registered you there objects to being named." in text) is (name in WITH_REASON)
        if name in WITHOUT_ALL:
            assert CONTROLLER.supervisory_authority in text
            for number in (77, 79):
                assert re.search(rf"\bart\w*\.? {number}\b", text, re.IGNORECASE), number


@LETTERS
def test_swiss_law_is_named_to_whoever_lives_there(name: str, language: Language) -> None:
    law = {Language.GERMAN: "DSG", Language.ENGLISH: "FADP"}.get(language, "LPD")
    text = spaced_once(rendered(name, language).text)
    has_sections = name in {"source-disclosed", "source-partly", "source-partly-category"}
    assert bool(re.search(rf"\b{law}\b", text)) is (name.endswith("-swiss") or name == "source-refused" or has_sections)


@LANGUAGES
def test_what_is_disclosed_comes_with_the_rest_of_article_15(language: Language) -> None:
    for name in ("source-disclosed", "source-partly", "source-partly-category"):
        for text in parts(rendered(name, language)).values():
            for number in (6, 15, 16, 17, 18, 20, 21, 22, 28, 45, 46, 77):
                assert re.search(rf"\bart\w*\.? {number}\b", text, re.IGNORECASE), (name, number)
            assert CONTROLLER.dpo_email in text


@LETTERS
def test_nothing_is_left_unfilled_and_every_line_fits(name: str, language: Language) -> None:
    letter = rendered(name, language)
    for text in (letter.subject, *parts(letter).values()):
        assert not re.search(r"%\(|\{\{|\{%|\bNone\b(?!, and no profiling)|[\x00-\x1f]", text)
    assert max(map(len, letter.text.split("\n"))) <= TEXT_WIDTH
    assert "\n\n\n\n" not in letter.text
    assert not re.search(r"[ \t]\n", letter.text)
    assert "\n" not in letter.subject
    assert len(letter.subject) < 100


@LETTERS
def test_only_the_link_and_the_reminder_have_a_button(name: str, language: Language) -> None:
    has_button = name in {"source-identity", "officer-reminder", "officer-reminder-overdue"}
    assert len(re.findall(r'<td class="main"', rendered(name, language).html)) == int(has_button)


@LANGUAGES
def test_letters_are_told_apart_by_their_wording(language: Language) -> None:
    versions = {letter.kind: RENDERER.render(letter).text_version for letter in letters(language).values()}
    assert set(versions) == set(SourceLetterKind)
    assert len(set(versions.values())) == len(SourceLetterKind)


@LANGUAGES
def test_all_that_it_answers_is_named(language: Language) -> None:
    text = spaced_once(rendered("source-disclosed", language).text)
    assert len(re.findall(r"\b(?:25|1|3)\.?(?: de)? \w+(?: de)? 2026", text)) >= 3


def test_only_the_answer_can_hold_a_source() -> None:
    """A type that has no place for a partner or a registering person cannot tell one."""
    holding = {
        type(letter)
        for letter in letters(Language.ENGLISH).values()
        if is_dataclass(letter) and any("Source," in str(field.type) for field in fields(letter))
    }
    assert holding == {SourceDecisionLetter}


def test_a_reminder_counts_the_days() -> None:
    reminder = letters(Language.ENGLISH)["officer-reminder"]
    assert isinstance(reminder, OfficerReminderLetter)
    for days, said in ((1, "Days left: 1"), (0, "Days left: 0"), (-1, "Days over the deadline: 1")):
        letter = RENDERER.render(replace(reminder, days_left=days))
        assert said in letter.text
        assert ("overdue" in letter.subject) is (days < 0)


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=300), st.text(max_size=120), st.sampled_from(Language))
def test_no_reason_and_no_partner_can_change_the_shape_of_a_letter(
    reason: str, partner: str, language: Language
) -> None:
    answer = letters(language)["source-partly"]
    assert isinstance(answer, SourceDecisionLetter)
    source = Source(partner, None, date(2026, 11, 1), Kind.LEAD)
    letter = RENDERER.render(replace(answer, reason=f"x{reason}", sources=(source,)))
    plain = RENDERER.render(replace(answer, reason="x", sources=(replace(source, partner="y"),)))
    tags, plain_tags = Page(letter.html).tags, Page(plain.html).tags
    assert [tag for tag in tags if tag != "p"] == [tag for tag in plain_tags if tag != "p"]
    assert Page(letter.html).links == Page(plain.html).links
    assert letter.subject == plain.subject
    (letter.text + letter.html).encode()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202a-\u202e\u2066-\u2069]", letter.text)


def test_a_long_reason_is_told_whole_paragraph_by_paragraph() -> None:
    notice = letters(Language.ENGLISH)["source-extension"]
    assert isinstance(notice, SourceExtensionLetter)
    reason = "\n\n".join(f"Paragraph {number}. " + "word " * 60 for number in range(20))
    letter = RENDERER.render(replace(notice, reason=reason))
    assert spaced_once(reason) in spaced_once(letter.text)
    assert Page(letter.html).tags.count("p") > 20


def test_the_extent_decides_not_the_list_of_sources() -> None:
    answer = letters(Language.ENGLISH)["source-partly"]
    assert isinstance(answer, SourceDecisionLetter)
    named = tuple(replace(source, person=PERSON) for source in answer.sources)
    letter = RENDERER.render(replace(answer, sources=named))
    assert PERSON not in letter.text + letter.html
    assert answer.extent is Extent.PARTNER
