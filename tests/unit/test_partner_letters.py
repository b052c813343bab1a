"""The mails to partners' people: which company did what and roughly when, never who it was; the same in both parts."""

import email
import random
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import default
from functools import cache
from itertools import pairwise, product
from typing import get_args, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import meta

from consentflow.domain.letters import FrozenMail, Language, Letter, Recipient
from consentflow.domain.notifications import Action, CompanyReport, Delivery, Happened
from consentflow.domain.partner_letters import DigestLetter, PartnerLetterKind, SubscriptionLetter
from consentflow.domain.secrets import new_token
from consentflow.domain.sign_in import SignInKind
from consentflow.mail.message import Rendered, Sender, freeze
from consentflow.mail.partner_context import Bar, Company, Deed, Period
from consentflow.mail.render import TEXT_WIDTH, LetterRenderer
from consentflow.mail.samples import sample_letters
from consentflow.mail.untrusted import LONGEST_NAME, shown
from consentflow.templates.environment import FOLDER, environment
from tests.unit.test_letters_rendered import CONTROLLER, HOSTILE, URL, Page, spaced_once

RENDERER = LetterRenderer()
ANOTHER_RENDERER = LetterRenderer()
NAMES = [
    name
    for name, letter in sample_letters(Language.ENGLISH).items()
    if isinstance(letter.kind, PartnerLetterKind | SignInKind)
]
ALL = list(product(NAMES, Language))
NAMING = ("subscription", "digest-immediate", "digest-daily")
"""Letters with names in them that others typed; the weekly one is as the daily one, only long."""

LETTERS = pytest.mark.parametrize(("name", "language"), ALL)
LANGUAGES = pytest.mark.parametrize("language", list(Language))
SENDER = Sender("Nordlicht Software GmbH", "privacy@nordlicht.example", None, None, "nordlicht.example")

BERLIN = "Europe/Berlin"
MONDAY = datetime(2026, 11, 16, 14, 20, 31, tzinfo=UTC)
"""15:20:31 in Berlin."""

UNSUBSCRIBE = "https://c.example/unsubscribe/Zm9yLXRoZS1wcmV2aWV3IQ"
PAGE = "https://c.example/partner"


def happened(action: Action, count: int = 1, hour: datetime = MONDAY, domain: str = "firma.example") -> Happened:
    return Happened(domain, action, hour.replace(minute=0, second=0), count)


def report(*what: Happened, name: str | None = "Firma GmbH", domain: str = "firma.example") -> CompanyReport:
    return CompanyReport(name, domain, what, datetime(2027, 4, 21, 22, 30, tzinfo=UTC))


def digest(
    *companies: CompanyReport,
    language: Language = Language.ENGLISH,
    delivery: Delivery = Delivery.IMMEDIATE,
    time_zone: str = BERLIN,
    written_at: datetime = MONDAY,
    begins_at: datetime | None = None,
) -> DigestLetter:
    return DigestLetter(
        language=language,
        recipient=Recipient("vertrieb@partner.example", None, None),
        controller=CONTROLLER,
        partner="Beispiel Vertrieb GmbH",
        delivery=delivery,
        companies=companies,
        begins_at=begins_at or written_at - timedelta(minutes=15),
        time_zone=time_zone,
        page=PAGE,
        unsubscribe=UNSUBSCRIBE,
        written_at=written_at,
    )


def frozen(letter: Letter, rendered: Rendered | None = None) -> FrozenMail:
    return freeze(
        rendered or RENDERER.render(letter),
        sender=SENDER,
        recipient=letter.recipient.address,
        recipient_name=None,
        key="some mail",
        language=letter.language,
        written_at=letter.written_at,
        unsubscribe_url=letter.one_click,
    )


@cache
def sample(name: str, language: Language) -> Rendered:
    return RENDERER.render(sample_letters(language)[name])


def headers(letter: Letter) -> EmailMessage:
    return email.message_from_bytes(frozen(letter).content, _class=EmailMessage, policy=default)


def words(text: str) -> str:
    """What is said, without the links and without the punctuation that each part has of its own."""
    return " ".join(re.findall(r"[^\s:·\[\],]+", URL.sub("", text)))


def parts(rendered: Rendered) -> Mapping[str, str]:
    return {"text": words(rendered.text), "html": words(" ".join(Page(rendered.html).blocks))}


# What the types and templates can hold


ALLOWED = {
    "DigestLetter.kind",
    "DigestLetter.language",
    "DigestLetter.recipient",
    "DigestLetter.controller",
    "DigestLetter.partner",
    "DigestLetter.delivery",
    "DigestLetter.companies",
    "DigestLetter.begins_at",
    "DigestLetter.time_zone",
    "DigestLetter.page",
    "DigestLetter.unsubscribe",
    "DigestLetter.written_at",
    "Recipient.address",
    "Recipient.given_name",
    "Recipient.family_name",
    "Controller.name",
    "Controller.address",
    "Controller.email",
    "Controller.dpo_email",
    "Controller.privacy_policy_url",
    "Controller.privacy_policy_version",
    "Controller.supervisory_authority",
    "CompanyReport.name",
    "CompanyReport.domain",
    "CompanyReport.happened",
    "CompanyReport.owned_until",
    "Happened.domain",
    "Happened.action",
    "Happened.hour",
    "Happened.count",
}
"""The reader's own name and address, the vendor's, the partner's; of companies nothing about anybody there."""


def fields_within(kind: object) -> set[str]:
    """Every field of a dataclass and of the dataclasses in its fields, to the end."""
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        own = {f"{kind.__name__}.{field.name}" for field in fields(kind)}
        return own.union(*(fields_within(hints[field.name]) for field in fields(kind)))
    return set[str]().union(*map(fields_within, get_args(kind)))


def test_a_notification_has_no_field_for_a_person_at_a_company() -> None:
    assert fields_within(DigestLetter) == ALLOWED


def test_templates_are_given_companies_counts_and_times_and_nothing_else() -> None:
    named = {kind.__name__: {field.name for field in fields(kind)} for kind in (Company, Deed, Period, Bar)}
    assert named == {
        "Company": {"title", "domain", "is_urgent", "deeds", "at_once", "owned_until"},
        "Deed": {"action", "count", "is_urgent", "day", "days", "hours"},
        "Period": {"kind", "days", "hours"},
        "Bar": {"day", "count", "percent"},
    }


def test_templates_see_nothing_but_what_a_notification_may_say() -> None:
    jinja = environment(Language.ENGLISH)
    jinja.filters["wrapped"] = str
    seen: set[str] = set()
    waiting, done = {"mail/digest.txt", "mail/digest.html"}, set[str]()
    while waiting:
        done.add(name := waiting.pop())
        tree = jinja.parse((FOLDER / name).read_text(encoding="utf-8"))
        seen |= meta.find_undeclared_variables(tree)
        waiting |= {str(reference) for reference in meta.find_referenced_templates(tree)} - done
    assert seen == {
        *("controller", "partner", "delivery", "period", "headline", "first", "total", "urgent"),
        *("companies", "more", "bars", "place", "page", "unsubscribe"),
        *("words", "told", "subject", "others", "longest", "largest"),  # of one another, or set on the way
    }


@LANGUAGES
def test_nobody_can_tell_the_minute_from_a_notification(language: Language) -> None:
    companies = report(happened(Action.PRICING_VIEWED, 3))
    told = RENDERER.render(digest(companies, language=language, written_at=MONDAY.replace(minute=16, second=1)))
    assert told == RENDERER.render(digest(companies, language=language, written_at=MONDAY.replace(minute=59)))
    minutes = re.findall(r"\d:(\d\d)", told.text + told.html)
    assert set(minutes) == {"00"}


@LANGUAGES
@pytest.mark.parametrize("name", ["digest-daily", "digest-weekly"])
def test_digests_tell_days_and_no_hours(name: str, language: Language) -> None:
    rendered = sample(name, language)
    assert not re.search(r"\d:\d\d", rendered.subject + rendered.text)


# Both parts


@LETTERS
def test_both_parts_say_the_same(name: str, language: Language) -> None:
    rendered = sample(name, language)
    text, html = parts(rendered)["text"], parts(rendered)["html"]
    assert [block for block in map(words, Page(rendered.html).blocks) if block not in text] == []
    # The button's address is shown in both parts, the others' in the text alone.
    assert set(text.split()) == set(html.split())


@LETTERS
def test_both_parts_carry_the_same_links(name: str, language: Language) -> None:
    letter = sample_letters(language)[name]
    rendered = sample(name, language)
    links = set(Page(rendered.html).links)
    assert {link for link in links if "://" in link} == set(URL.findall(rendered.text))
    assert {link for link in links if "://" not in link} == {f"mailto:{letter.controller.email}"}
    assert letter.controller.privacy_policy_url in links
    assert len(links) == (4 if letter.one_click else 3)
    assert letter.one_click is None or letter.one_click in links


@LETTERS
def test_what_is_asked_for_is_the_one_button(name: str, language: Language) -> None:
    letter = sample_letters(language)[name]
    buttons = re.findall(r'<td class="main"[^>]*><a href="([^"]+)"', sample(name, language).html)
    match letter:
        case SubscriptionLetter():
            assert buttons == [letter.confirm]
        case DigestLetter():
            assert buttons == [letter.page]
        case _:
            assert len(buttons) == 1


@LETTERS
def test_html_survives_mail_clients(name: str, language: Language) -> None:
    html = sample(name, language).html
    page = Page(html)
    assert page.attributes["html"] == {"lang": language}
    assert not re.search(r"\bsrc\s*=|url\(|@import|background\s*=", html, re.IGNORECASE)
    assert not {"script", "link", "img", "form", "iframe", "object"} & set(page.tags)
    assert page.tags.count("h1") == 1
    assert html.count("<table") - html.count('role="presentation"') == html.count("<th ") // 7
    (kept,) = page.styles
    assert re.sub(r"@media[^{]+\{(?:[^{}]*\{[^{}]*\})*\s*\}", "", kept).strip() == ""
    assert len(html.encode()) < 100_000  # Gmail clips what is longer


@LETTERS
def test_nothing_is_left_unfilled(name: str, language: Language) -> None:
    rendered = sample(name, language)
    for text in (rendered.subject, *parts(rendered).values()):
        assert not re.search(r"%\(|\{\{|\{%|\bNone\b|[\x00-\x1f]|  ", text)
    assert "\n\n\n\n" not in rendered.text
    assert not re.search(r"[ \t]\n", rendered.text)
    assert rendered.text.endswith("\n")
    assert not rendered.text.endswith("\n\n")


@LETTERS
def test_text_lines_fit_a_screen(name: str, language: Language) -> None:
    longest_names = {"digest-weekly": LONGEST_NAME, "digest-daily": LONGEST_NAME}
    lines = sample(name, language).text.split("\n")
    assert max(map(len, lines)) <= longest_names.get(name, TEXT_WIDTH)


@LETTERS
def test_freezing_twice_gives_the_same_bytes(name: str, language: Language) -> None:
    letter = sample_letters(language)[name]
    assert frozen(letter, sample(name, language)) == frozen(letter, ANOTHER_RENDERER.render(letter))


def test_what_happened_may_come_in_any_order() -> None:
    for letter in sample_letters(Language.ENGLISH).values():
        if isinstance(letter, DigestLetter):
            shuffled = [
                replace(each, happened=tuple(random.Random(7).sample(each.happened, len(each.happened))))
                for each in letter.companies
            ]
            assert RENDERER.render(replace(letter, companies=tuple(shuffled))) == RENDERER.render(letter)


# Headers


@LETTERS
def test_headers_say_that_it_is_automatic_and_how_to_leave(name: str, language: Language) -> None:
    letter = sample_letters(language)[name]
    mail = headers(letter)
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Content-Language"] == language
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    if letter.kind is SignInKind.SIGN_IN:
        assert mail["List-Unsubscribe"] is None
        assert mail["List-Unsubscribe-Post"] is None
    else:
        assert mail["List-Unsubscribe"] == f"<{letter.one_click}>"
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_the_link_to_leave_is_short() -> None:
    letter = replace(
        digest(report(happened(Action.PURCHASED))), unsubscribe=f"https://c.example/unsubscribe/{new_token()}"
    )
    assert len(letter.unsubscribe) <= 60
    assert headers(letter)["List-Unsubscribe"] == f"<{letter.unsubscribe}>"


# Untrusted names


def with_names(letter: Letter, text: str) -> Letter:
    match letter:
        case SubscriptionLetter():
            return replace(letter, partner=text)
        case DigestLetter():
            companies = tuple(replace(company, name=text) for company in letter.companies)
            return replace(letter, partner=text, companies=companies)
        case _:
            return letter


@cache
def plain_one(name: str, language: Language, named: bool) -> Rendered:
    return RENDERER.render(with_names(sample_letters(language)[name], "Firma" if named else ""))


def assert_tame(name: str, language: Language, text: str) -> None:
    """The letter has the tags, links, headers and paragraphs of one with a plain name, or with none."""
    letter = sample_letters(language)[name]
    rendered = RENDERER.render(with_names(letter, text))
    plain = plain_one(name, language, shown(text) is not None)
    page, plain_page = Page(rendered.html), Page(plain.html)
    assert page.tags == plain_page.tags
    assert page.links == plain_page.links
    assert len(page.blocks) == len(plain_page.blocks)
    assert rendered.text_version == plain.text_version
    assert set(URL.findall(rendered.text)) == set(URL.findall(plain.text))
    assert rendered.text.count("\n\n") == plain.text.count("\n\n")
    for line in rendered.text.split("\n"):
        assert not re.search(r"[^\S \u00a0]|[\x00-\x1f\u202a-\u202e\u2066-\u2069]", line)
    header = frozen(letter, rendered).content.partition(b"\r\n\r\n")[0]
    assert email.message_from_bytes(header).keys() == headers(letter).keys()
    assert "evil.example" not in rendered.subject + rendered.text + rendered.html
    assert max(map(len, rendered.text.split("\n"))) <= LONGEST_NAME + TEXT_WIDTH


@pytest.mark.parametrize("name", [*NAMING, "digest-weekly"])
@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_are_harmless(name: str, hostile: str) -> None:
    assert_tame(name, Language.GERMAN, hostile)


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(NAMING), st.sampled_from(Language), st.text(max_size=120))
def test_no_name_can_change_the_shape_of_a_letter(name: str, language: Language, text: str) -> None:
    assert_tame(name, language, text)


def test_names_are_shown_as_they_are() -> None:
    letter = digest(report(happened(Action.PURCHASED), name="{{ 7*7 }} %(x)s A<b>&B"))
    rendered = RENDERER.render(letter)
    assert "\n{{ 7*7 }} %(x)s A<b>&B\nfirma.example\n" in rendered.text
    assert "<bdi>{{ 7*7 }} %(x)s A&lt;b&gt;&amp;B</bdi>" in rendered.html
    assert rendered.subject == "{{ 7*7 }} %(x)s A<b>&B: made a purchase"


def test_a_company_without_a_name_is_told_by_its_domain_alone() -> None:
    for name in (None, "", "firma.example", "https://evil.example/win"):
        rendered = RENDERER.render(digest(report(happened(Action.PURCHASED), name=name)))
        assert re.findall(r"^.*firma\.example$", rendered.text, re.MULTILINE) == ["firma.example"]
        assert rendered.html.count("firma.example") == 2  # in the title and in the report


def test_a_partner_without_a_name_to_show_is_not_named() -> None:
    letter = digest(report(happened(Action.PURCHASED)))
    assert "that Beispiel Vertrieb GmbH owns." in spaced_once(RENDERER.render(letter).text)
    assert " owns." not in RENDERER.render(replace(letter, partner="www.evil.example")).text
    subscription = sample_letters(Language.ENGLISH)["subscription"]
    assert "A sales partner asked" in RENDERER.render(with_names(subscription, "\u202e")).text


# The request for confirmation


DATES = {
    Language.GERMAN: "2. Dezember 2026",
    Language.FRENCH: "2 décembre 2026",
    Language.ITALIAN: "2 dicembre 2026",
    Language.ENGLISH: "2 December 2026",
    Language.PORTUGUESE: "2 de dezembro de 2026",
    Language.SPANISH: "2 de diciembre de 2026",
}


@LANGUAGES
def test_a_request_says_who_asked_for_what_and_until_when_and_how_to_end_it(language: Language) -> None:
    letter = sample_letters(language)["subscription"]
    assert isinstance(letter, SubscriptionLetter)
    rendered = RENDERER.render(letter)
    for text in parts(rendered).values():
        first, last = text.index(letter.partner), text.index(words(DATES[language]))
        assert first < text.index(letter.recipient.address) < last
    assert rendered.subject.startswith(letter.controller.name)
    assert rendered.text.index(letter.confirm) < rendered.text.index(letter.unsubscribe)
    assert Page(rendered.html).links.count(letter.confirm) == 2
    assert Page(rendered.html).links.count(letter.unsubscribe) == 1


def test_text_versions_tell_letters_and_languages_apart_and_not_their_readers() -> None:
    versions = {
        (sample_letters(language)[name].kind, language): {sample(name, language).text_version} for name, language in ALL
    }
    assert len(set().union(*versions.values())) == len(versions) == 3 * len(Language)
    for first, second in pairwise(("digest-immediate", "digest-daily", "digest-weekly")):
        assert sample(first, Language.ENGLISH).text_version == sample(second, Language.ENGLISH).text_version
