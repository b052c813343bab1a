"""What a notification tells: subject, numbers, days and hours in the reader's zone, the picture, the limits."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentflow.domain.letters import Language
from consentflow.domain.notifications import URGENT, Action, CompanyReport, Delivery
from consentflow.domain.partner_letters import DigestLetter
from consentflow.mail.message import Rendered
from consentflow.mail.partner_context import MOST_COMPANIES
from consentflow.mail.samples import sample_letters
from consentflow.mail.times import Times
from consentflow.mail.untrusted import LONGEST_IN_SUBJECT
from tests.unit.test_letters_rendered import Page, spaced_once
from tests.unit.test_partner_letters import (
    BERLIN,
    LANGUAGES,
    MONDAY,
    RENDERER,
    digest,
    happened,
    headers,
    parts,
    report,
    words,
)


def weekly(*companies: CompanyReport, language: Language = Language.ENGLISH) -> DigestLetter:
    """Written on Monday, 16 November 2026, at eight in Berlin, about the week before."""
    at = datetime(2026, 11, 16, 7, tzinfo=UTC)
    return replace(
        digest(*companies, language=language), delivery=Delivery.WEEKLY, written_at=at, begins_at=at - timedelta(days=7)
    )


def heading(rendered: Rendered) -> str:
    return spaced_once(rendered.text.split("\n\n")[0])


# Subjects


SUBJECTS = {
    Language.GERMAN: (
        "Firma GmbH: Preisseite angesehen",
        "Firma GmbH: Kauf getätigt, Preisseite 5-mal angesehen und mehr",
        "Dringend: Firma GmbH – Demo angefragt",
        "Dringend: Firma GmbH – Demo 2-mal angefragt; 1 weiteres Unternehmen war aktiv",
        "Dringend: Firma GmbH – Demo 2-mal angefragt; 2 weitere Unternehmen waren aktiv",
        "Dringend: 2 Ihrer Unternehmen haben einen Testzugang oder eine Demo angefragt",
        "2 Ihrer Unternehmen waren aktiv",
        "5 Ihrer Unternehmen waren aktiv",
    ),
    Language.FRENCH: (
        "Firma GmbH : page des tarifs consultée",
        "Firma GmbH : achat effectué, page des tarifs consultée 5 fois, etc.",
        "Urgent : Firma GmbH – démonstration demandée",
        "Urgent : Firma GmbH – démonstration demandée 2 fois ; 1 autre entreprise a été active",
        "Urgent : Firma GmbH – démonstration demandée 2 fois ; 2 autres entreprises ont été actives",
        "Urgent : 2 de vos entreprises ont demandé un essai ou une démonstration",
        "2 de vos entreprises ont été actives",
        "5 de vos entreprises ont été actives",
    ),
    Language.ITALIAN: (
        "Firma GmbH: pagina dei prezzi visitata",
        "Firma GmbH: acquisto effettuato, pagina dei prezzi visitata 5 volte e altro",
        "Urgente: Firma GmbH – demo richiesta",
        "Urgente: Firma GmbH – demo richiesta 2 volte; 1 altra azienda è stata attiva",
        "Urgente: Firma GmbH – demo richiesta 2 volte; 2 altre aziende sono state attive",
        "Urgente: 2 delle Sue aziende hanno richiesto una prova o una demo",
        "2 delle Sue aziende sono state attive",
        "5 delle Sue aziende sono state attive",
    ),
    Language.ENGLISH: (
        "Firma GmbH: pricing page viewed",
        "Firma GmbH: made a purchase, pricing page viewed 5 times and more",
        "Urgent: Firma GmbH – demo requested",
        "Urgent: Firma GmbH – demo requested 2 times; 1 more company was active",
        "Urgent: Firma GmbH – demo requested 2 times; 2 more companies were active",
        "Urgent: 2 of your companies asked for a trial or a demo",
        "2 of your companies were active",
        "5 of your companies were active",
    ),
    Language.PORTUGUESE: (
        "Firma GmbH: página de preços consultada",
        "Firma GmbH: compra efetuada, página de preços consultada 5 vezes e mais",
        "Urgente: Firma GmbH – demonstração pedida",
        "Urgente: Firma GmbH – demonstração pedida 2 vezes; mais 1 empresa esteve ativa",
        "Urgente: Firma GmbH – demonstração pedida 2 vezes; mais 2 empresas estiveram ativas",
        "Urgente: 2 das suas empresas pediram um período experimental ou uma demonstração",
        "2 das suas empresas estiveram ativas",
        "5 das suas empresas estiveram ativas",
    ),
    Language.SPANISH: (
        "Firma GmbH: página de precios consultada",
        "Firma GmbH: compra realizada, página de precios consultada 5 veces y más",
        "Urgente: Firma GmbH – demostración solicitada",
        "Urgente: Firma GmbH – demostración solicitada 2 veces; 1 empresa más ha estado activa",
        "Urgente: Firma GmbH – demostración solicitada 2 veces; 2 empresas más han estado activas",
        "Urgente: 2 de sus empresas han solicitado una prueba o una demostración",
        "2 de sus empresas han estado activas",
        "5 de sus empresas han estado activas",
    ),
}


@LANGUAGES
def test_subjects_say_what_happened(language: Language) -> None:
    other = report(happened(Action.CONTENT_VIEWED), name="Andere AG", domain="andere.example")
    third = replace(other, domain="dritte.example")
    asks = report(happened(Action.DEMO_REQUESTED, 2), happened(Action.PURCHASED))
    busy = report(
        happened(Action.CONTENT_VIEWED),
        happened(Action.PRICING_VIEWED, 5),
        happened(Action.PURCHASED, domain="x.example"),
    )
    letters = [
        (report(happened(Action.PRICING_VIEWED)),),
        (busy,),
        (report(happened(Action.DEMO_REQUESTED)),),
        (asks, other),
        (third, asks, other),
        (asks, other, replace(asks, domain="x.example")),
        (other, third),
        (other, third, other, third, other),
    ]
    subjects = [RENDERER.render(digest(*companies, language=language)).subject for companies in letters]
    assert [subject.replace("\u00a0", " ") for subject in subjects] == list(SUBJECTS[language])


@LANGUAGES
@pytest.mark.parametrize("delivery", list(Delivery))
def test_a_subject_counts_what_happened_on_several_days_once(language: Language, delivery: Delivery) -> None:
    yesterday = MONDAY - timedelta(days=1)
    twice = report(happened(Action.PRICING_VIEWED, 2), happened(Action.PRICING_VIEWED, 3, yesterday))
    at_once = report(happened(Action.PRICING_VIEWED, 5))
    subjects = {
        RENDERER.render(digest(each, language=language, delivery=delivery)).subject for each in (twice, at_once)
    }
    assert len(subjects) == 1


@pytest.mark.parametrize(
    ("name", "shown_as"),
    [
        ("A=?utf-8?q?a=0D=0ABcc:x?=", "firma.example"),
        ("No character \ufffe here", "firma.example"),
        ("https://evil.example/win", "firma.example"),
        ("Firma\r\nBcc: eve", "Firma Bcc: eve"),
        (None, "firma.example"),
        ("x" * 5000, "x" * (LONGEST_IN_SUBJECT - 1) + "…"),
    ],
)
def test_a_name_in_a_subject_is_short_and_makes_no_header(name: str | None, shown_as: str) -> None:
    mail = headers(digest(report(happened(Action.PURCHASED), name=name)))
    assert mail["Subject"] == f"{shown_as}: made a purchase"
    assert mail["Bcc"] is None


# Plurals


COUNTED = {
    Language.GERMAN: (
        ("Kauf getätigt", "2 Käufe getätigt", "5 Käufe getätigt"),
        ("Testzugang angefragt", "Testzugang 2-mal angefragt", "Testzugang 5-mal angefragt"),
        ("1 weiteres Unternehmen war aktiv; Sie", "2 weitere Unternehmen waren", "5 weitere Unternehmen waren"),
        ("Eines Ihrer Unternehmen war", "2 Ihrer Unternehmen waren", "5 Ihrer Unternehmen waren"),
        ("Eines davon hat", "2 davon haben", "5 davon haben"),
    ),
    Language.FRENCH: (
        ("Achat effectué", "2 achats effectués", "5 achats effectués"),
        ("Essai demandé", "Essai demandé 2 fois", "Essai demandé 5 fois"),
        ("1 autre entreprise a été active", "2 autres entreprises ont été", "5 autres entreprises ont été"),
        ("Une de vos entreprises a été", "2 de vos entreprises ont été", "5 de vos entreprises ont été"),
        ("L’une d’elles a demandé", "2 d’entre elles ont demandé", "5 d’entre elles ont demandé"),
    ),
    Language.ITALIAN: (
        ("Acquisto effettuato", "2 acquisti effettuati", "5 acquisti effettuati"),
        ("Prova richiesta", "Prova richiesta 2 volte", "Prova richiesta 5 volte"),
        ("1 altra azienda è stata attiva", "2 altre aziende sono state attive", "5 altre aziende sono state attive"),
        ("Una delle Sue aziende è", "2 delle Sue aziende sono", "5 delle Sue aziende sono"),
        ("Una di esse ha", "2 di esse hanno", "5 di esse hanno"),
    ),
    Language.ENGLISH: (
        ("Made a purchase", "Made 2 purchases", "Made 5 purchases"),
        ("Trial requested", "Trial requested 2 times", "Trial requested 5 times"),
        ("1 more company was active", "2 more companies were active", "5 more companies were active"),
        ("One of your companies was", "2 of your companies were", "5 of your companies were"),
        ("One of them asked", "2 of them asked", "5 of them asked"),
    ),
    Language.PORTUGUESE: (
        ("Compra efetuada", "2 compras efetuadas", "5 compras efetuadas"),
        ("Período experimental pedido", "experimental pedido 2 vezes", "experimental pedido 5 vezes"),
        ("Mais 1 empresa esteve ativa", "Mais 2 empresas estiveram ativas", "Mais 5 empresas estiveram ativas"),
        ("Uma das suas empresas esteve", "2 das suas empresas estiveram", "5 das suas empresas estiveram"),
        ("Uma delas pediu", "2 delas pediram", "5 delas pediram"),
    ),
    Language.SPANISH: (
        ("Compra realizada", "2 compras realizadas", "5 compras realizadas"),
        ("Prueba solicitada", "Prueba solicitada 2 veces", "Prueba solicitada 5 veces"),
        ("1 empresa más ha estado activa", "2 empresas más han estado", "5 empresas más han estado"),
        ("Una de sus empresas ha", "2 de sus empresas han", "5 de sus empresas han"),
        ("Una de ellas ha", "2 de ellas han", "5 de ellas han"),
    ),
}
"""For one, two and five: purchases, requests for a trial, companies left out, active ones, urgent ones."""


@LANGUAGES
@pytest.mark.parametrize(("place", "number"), [(0, 1), (1, 2), (2, 5)])
def test_numbers_agree_with_what_they_count(language: Language, place: int, number: int) -> None:
    purchases, trials, left_out, active, urgent = (each[place] for each in COUNTED[language])

    def text(*companies: CompanyReport) -> Mapping[str, str]:
        return parts(RENDERER.render(digest(*companies, language=language)))

    quiet, asking = report(happened(Action.CONTENT_VIEWED)), report(happened(Action.DEMO_REQUESTED))
    for part in ("text", "html"):
        assert words(purchases) in text(report(happened(Action.PURCHASED, number)))[part]
        assert words(trials) in text(report(happened(Action.TRIAL_REQUESTED, number)))[part]
        assert words(left_out) in text(*[quiet] * (MOST_COMPANIES + number))[part]
        assert words(active) in text(*[quiet] * number)[part]
        assert words(urgent) in text(quiet, *[asking] * number)[part]


# Periods, days and hours


HEADINGS = {
    Language.GERMAN: (
        "Ihre Unternehmen heute, 15:00–16:00 Uhr",
        "Ihre Unternehmen am Sonntag, 15. November 2026, 14:00–16:00 Uhr",
        "Ihre Unternehmen, 14.–16. Nov. 2026",
        "Ihre Unternehmen am Sonntag, 15. November 2026",
        "Ihre Unternehmen in der Woche vom 9.–15. Nov. 2026",
    ),
    Language.FRENCH: (
        "Vos entreprises aujourd’hui, 15:00–16:00",
        "Vos entreprises le dimanche 15 novembre 2026, 14:00–16:00",
        "Vos entreprises, 14–16 nov. 2026",
        "Vos entreprises le dimanche 15 novembre 2026",
        "Vos entreprises, semaine du 9–15 nov. 2026",
    ),
    Language.ITALIAN: (
        "Le Sue aziende oggi, 15:00–16:00",
        "Le Sue aziende domenica 15 novembre 2026, 14:00–16:00",
        "Le Sue aziende, 14–16 nov 2026",
        "Le Sue aziende domenica 15 novembre 2026",
        "Le Sue aziende nella settimana 09–15 nov 2026",
    ),
    Language.ENGLISH: (
        "Your companies today, 15:00–16:00",
        "Your companies on Sunday, 15 November 2026, 14:00–16:00",
        "Your companies, 14–16 Nov 2026",
        "Your companies on Sunday, 15 November 2026",
        "Your companies in the week of 9–15 Nov 2026",
    ),
    Language.PORTUGUESE: (
        "As suas empresas hoje, 15:00–16:00",
        "As suas empresas: domingo, 15 de novembro de 2026, 14:00–16:00",
        "As suas empresas, 14–16 de nov. de 2026",
        "As suas empresas: domingo, 15 de novembro de 2026",
        "As suas empresas na semana de 9–15 de nov. de 2026",
    ),
    Language.SPANISH: (
        "Sus empresas hoy, 15:00–16:00",
        "Sus empresas el domingo, 15 de noviembre de 2026, 14:00–16:00",
        "Sus empresas, 14–16 nov 2026",
        "Sus empresas el domingo, 15 de noviembre de 2026",
        "Sus empresas en la semana del 9–15 nov 2026",
    ),
}


@LANGUAGES
def test_the_heading_says_the_period_in_words(language: Language) -> None:
    def seen(*hours_ago: int) -> CompanyReport:
        return report(*(happened(Action.PRICING_VIEWED, 1, MONDAY - timedelta(hours=each)) for each in hours_ago))

    at_eight = MONDAY.replace(hour=7)
    daily = digest(
        seen(24),
        delivery=Delivery.DAILY,
        written_at=at_eight,
        begins_at=at_eight - timedelta(days=1),
        language=language,
    )
    letters = [
        digest(seen(0), language=language),
        digest(seen(24, 25), language=language),
        digest(seen(0, 48), language=language),
        daily,
        weekly(seen(24), language=language),
    ]
    headings = [heading(RENDERER.render(letter)) for letter in letters]
    assert headings == list(HEADINGS[language])
    assert all(Page(RENDERER.render(letter).html).blocks[1] == headings[place] for place, letter in enumerate(letters))


def test_an_empty_morning_is_not_told_as_a_quiet_day() -> None:
    sunday = happened(Action.PRICING_VIEWED, 1, MONDAY - timedelta(days=1))
    assert heading(RENDERER.render(weekly(report(sunday)))).endswith("9–15 Nov 2026")
    this_morning = happened(Action.PRICING_VIEWED, 1, datetime(2026, 11, 16, 6, tzinfo=UTC))
    assert heading(RENDERER.render(weekly(report(sunday, this_morning)))).endswith("9–16 Nov 2026")


def test_a_week_with_something_late_is_told_as_the_days_it_was() -> None:
    late = happened(Action.PRICING_VIEWED, 1, MONDAY - timedelta(days=12))
    assert heading(RENDERER.render(weekly(report(late)))) == "Your companies, 4–15 Nov 2026"


@pytest.mark.parametrize(
    ("time_zone", "hour", "expected"),
    [
        (BERLIN, "2026-11-16T14:00", "15:00–16:00"),
        ("Asia/Kolkata", "2026-11-16T09:00", "14:30–15:30"),
        ("Asia/Kathmandu", "2026-11-16T09:00", "14:45–15:45"),
        ("Australia/Adelaide", "2026-01-16T01:00", "11:30–12:30"),
        ("America/St_Johns", "2026-11-16T14:00", "10:30–11:30"),
        ("Pacific/Kiritimati", "2026-11-16T09:00", "23:00–00:00"),
        ("Asia/Kolkata", "2026-11-16T18:00", "23:30–00:30"),
        # Summer time begins at two: there is no hour after two.
        (BERLIN, "2026-03-29T00:00", "01:00–02:00"),
        (BERLIN, "2026-03-29T01:00", "03:00–04:00"),
        # It ends at three: two hours begin at two.
        (BERLIN, "2026-10-25T00:00", "02:00–03:00"),
        (BERLIN, "2026-10-25T01:00", "02:00–03:00"),
        (BERLIN, "2026-10-25T02:00", "03:00–04:00"),
    ],
)
def test_hours_are_those_on_the_reader_s_wall(time_zone: str, hour: str, expected: str) -> None:
    began = datetime.fromisoformat(hour).replace(tzinfo=UTC)
    letter = digest(
        report(happened(Action.PRICING_VIEWED, 1, began)),
        time_zone=time_zone,
        written_at=began + timedelta(minutes=20),
    )
    begin, _, end = expected.partition("–")
    rendered = RENDERER.render(letter)
    assert heading(rendered) == f"Your companies today, {expected}"
    assert f"Pricing page viewed · between {begin} and {end}\n" in rendered.text


def test_the_two_hours_of_the_night_that_summer_time_ends_are_one_line() -> None:
    hours = [datetime(2026, 10, 25, hour, tzinfo=UTC) for hour in (0, 1)]
    both = report(*(happened(Action.PRICING_VIEWED, 2, hour) for hour in hours))
    rendered = RENDERER.render(digest(both, written_at=datetime(2026, 10, 25, 1, 20, tzinfo=UTC)))
    assert "  Pricing page viewed 4 times · between 02:00 and 03:00\n" in rendered.text


def test_an_immediate_notification_names_the_day_of_what_comes_late() -> None:
    def text(*hours_ago: int) -> str:
        hours = (MONDAY - timedelta(hours=each) for each in hours_ago)
        return RENDERER.render(digest(report(*(happened(Action.PRICING_VIEWED, 2, hour) for hour in hours)))).text

    assert "  Pricing page viewed 4 times · between 14:00 and 16:00\n" in text(0, 1)
    assert "  Pricing page viewed 2 times · Fri 13 Nov, between 15:00 and 16:00\n" in text(72)
    assert "  Pricing page viewed 4 times · Fri 13 Nov and Mon 16 Nov\n" in text(0, 72)


def test_a_digest_names_two_days_and_counts_more() -> None:
    def seen(*days_ago: int) -> str:
        hours = (MONDAY - timedelta(days=each) for each in days_ago)
        return RENDERER.render(weekly(report(*(happened(Action.PRICING_VIEWED, 1, hour) for hour in hours)))).text

    assert "  Pricing page viewed · Sun 15 Nov\n" in seen(1)
    assert "  Pricing page viewed 2 times · Wed 11 Nov and Sun 15 Nov\n" in seen(1, 5)
    assert "  Pricing page viewed 4 times · on 3 days, 10–15 Nov\n" in seen(1, 1, 5, 6)


def test_a_time_that_all_lines_share_is_said_once() -> None:
    both = report(happened(Action.PRICING_VIEWED), happened(Action.CONTENT_VIEWED))
    lines = "Between 15:00 and 16:00\n  Pricing page viewed\n  Content viewed\nOwned until 22 April 2027\n"
    rendered = RENDERER.render(digest(both))
    assert lines in rendered.text
    assert rendered.html.count("etween 15:00 and 16:00") == 1


@pytest.mark.parametrize(("time_zone", "expected"), [(BERLIN, "22 April 2027"), ("America/New_York", "21 April 2027")])
def test_the_end_of_ownership_is_the_reader_s_day(time_zone: str, expected: str) -> None:
    rendered = RENDERER.render(digest(report(happened(Action.PURCHASED)), time_zone=time_zone))
    for text in parts(rendered).values():
        assert f"Owned until {expected}" in text


@pytest.mark.parametrize(
    ("time_zone", "place"),
    [
        (BERLIN, "Berlin"),
        ("America/Argentina/Buenos_Aires", "Buenos Aires"),
        ("UTC", "UTC"),
        ("Asia/Kolkata", "Kolkata"),
    ],
)
def test_the_reader_is_told_whose_hours_these_are(time_zone: str, place: str) -> None:
    rendered = RENDERER.render(digest(report(happened(Action.PURCHASED)), time_zone=time_zone))
    for text in parts(rendered).values():
        assert f"Time zone {place}." in text


@given(
    st.sampled_from([BERLIN, "Asia/Kathmandu", "Australia/Lord_Howe", "America/New_York", "Africa/Casablanca"]),
    st.integers(0, 24 * 730),
    st.sampled_from(Language),
)
def test_every_hour_of_two_years_lasts_an_hour_on_the_wall(time_zone: str, number: int, language: Language) -> None:
    began = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number)
    times = Times(language, ZoneInfo(time_zone))
    begin, end = times.hour(began)
    assert end - begin == timedelta(hours=1)
    assert begin.date() == times.day(began)
    assert re.fullmatch(r"\d?\d:\d\d", times.clock(begin))


# Order, marks, the picture


@LANGUAGES
def test_urgent_companies_come_first_and_bear_a_mark_in_words(language: Language) -> None:
    quiet = report(happened(Action.PURCHASED), name="Stille AG", domain="stille.example")
    asking = report(happened(Action.TRIAL_REQUESTED), name="Eilige KG", domain="eilige.example")
    rendered = RENDERER.render(digest(quiet, asking, language=language))
    (mark,) = re.findall(r"^\[(\w+)\] Eilige KG$", rendered.text, re.MULTILINE)
    assert rendered.subject.startswith(mark)
    assert rendered.text.index("Eilige KG") < rendered.text.index("Stille AG")
    assert rendered.text.count("[") == 1
    blocks = Page(rendered.html).blocks
    assert blocks.index("Eilige KG") == blocks.index(mark) + 1
    assert blocks.index("Eilige KG") < blocks.index("Stille AG")
    assert blocks.count(mark) == 1
    without = RENDERER.render(digest(quiet, language=language))
    assert mark not in without.subject + without.text


def test_what_weighs_most_stands_first() -> None:
    everything = report(*(happened(action) for action in Action))
    lines = re.findall(r"^  (\w.*)$", RENDERER.render(digest(everything)).text, re.MULTILINE)
    assert [line.lower() for line in lines] == [
        "trial requested",
        "demo requested",
        "made a purchase",
        "pricing page viewed",
        "content downloaded",
        "content viewed",
    ]


def picture(rendered: Rendered) -> list[tuple[str, int, int]]:
    """Day, number, and the length of the bar in percent, as the HTML has them."""
    rows = re.findall(r"<tr><th [^>]*>(.*?)</th><td [^>]*>(\d+)</td>(.*?)(?=<tr><th |$)", rendered.html, re.DOTALL)
    return [
        (day, int(count), int((re.findall(r'class="bar"[^>]* width="(\d+)%"', bar) or ["0"])[0]))
        for day, count, bar in rows
    ]


@LANGUAGES
def test_the_picture_of_a_week_has_every_day_from_zero_and_the_number_beside_it(language: Language) -> None:
    days_ago = {1: 8, 2: 1, 4: 400, 7: 100}
    busy = [happened(Action.CONTENT_VIEWED, count, MONDAY - timedelta(days=ago)) for ago, count in days_ago.items()]
    rendered = RENDERER.render(weekly(report(*busy[:2]), report(*busy[2:], domain="b.example"), language=language))
    times = Times(language, ZoneInfo(BERLIN))
    days = [times.short(date(2026, 11, day)) for day in range(9, 16)]
    counts, bars = [100, 0, 0, 400, 0, 1, 8], [25, 0, 0, 100, 0, 1, 2]
    assert picture(rendered) == list(zip(days, counts, bars, strict=True))
    in_text = re.findall(r"^  (\S.*?)  +(\d+)$", rendered.text, re.MULTILINE)
    assert in_text == [(day, str(count)) for day, count in zip(days, counts, strict=True)]
    ends = {len(line) for line in rendered.text.split("\n") if re.search(r"^  \S.*  +\d+$", line)}
    assert len(ends) == 1


def test_the_picture_counts_companies_that_are_not_listed_too() -> None:
    letter = sample_letters(Language.ENGLISH)["digest-weekly"]
    assert isinstance(letter, DigestLetter)
    assert len(letter.companies) > MOST_COMPANIES
    drawn = picture(RENDERER.render(letter))
    assert sum(count for _, count, _ in drawn) == sum(each.count for one in letter.companies for each in one.happened)
    assert len(drawn) == 7


def test_a_week_in_which_clocks_change_has_seven_days() -> None:
    at = datetime(2026, 10, 26, 7, tzinfo=UTC)
    hours = [at - timedelta(hours=number) for number in range(1, 24 * 7 + 1)]
    every = report(*(happened(Action.CONTENT_VIEWED, 1, hour) for hour in hours))
    letter = replace(weekly(every), written_at=at, begins_at=at - timedelta(days=7))
    counts = Counter(hour.astimezone(ZoneInfo(BERLIN)).date() for hour in hours)
    drawn = picture(RENDERER.render(letter))
    assert [count for _, count, _ in drawn] == [counts[day] for day in sorted(counts)]
    assert counts[date(2026, 10, 25)] == 25


@pytest.mark.parametrize("delivery", list(Delivery))
def test_there_is_no_picture_of_one_day(delivery: Delivery) -> None:
    rendered = RENDERER.render(digest(report(happened(Action.CONTENT_VIEWED)), delivery=delivery))
    assert picture(rendered) == []
    assert "Actions per day" not in rendered.text


# Floods


@LANGUAGES
@pytest.mark.parametrize("delivery", list(Delivery))
def test_two_hundred_companies_with_long_names_fit_a_mail(language: Language, delivery: Delivery) -> None:
    def everything(number: int) -> CompanyReport:
        hours = (MONDAY - timedelta(hours=7 * each) for each in range(20))
        actions = [action for action in Action if number % 10 == 9 or action not in URGENT]
        what = [happened(action, 1234, hour) for action, hour in product(actions, hours)]
        return report(*what, name=f"{number} " + "Müller & Söhne " * 20, domain=f"{'d' * 60}{number}.example")

    companies = [everything(number) for number in range(200)]
    letter = digest(*companies, delivery=delivery, language=language, begins_at=MONDAY - timedelta(days=7))
    rendered = RENDERER.render(letter)
    assert len(rendered.html.encode()) < 100_000
    shown_domains = re.findall(r"^(d+\d+)\.example$", rendered.text, re.MULTILINE)
    urgent = [company.domain.removesuffix(".example") for company in companies[9::10]]
    assert len(shown_domains) == MOST_COMPANIES
    assert shown_domains[: len(urgent)] == urgent
    for text in parts(rendered).values():
        assert f" {200 - MOST_COMPANIES} " in text


def test_a_notification_of_nothing_is_no_letter() -> None:
    for companies in ((), (report(),)):
        with pytest.raises(ValueError, match="something"):
            RENDERER.render(digest(*companies))
