"""Letters filled with what is made up, for whoever looks after the wording: the same ones each time."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import cycle, product

from consentflow.domain.letters import Controller, Language, LeadLetter, LeadLinks, Letter, LetterKind, Recipient
from consentflow.domain.notifications import URGENT, Action, CompanyReport, Delivery, Happened
from consentflow.domain.partner_letters import DigestLetter, SubscriptionLetter
from consentflow.domain.sign_in import LINK_VALIDITY, Door, SignInLetter
from consentflow.mail.source_samples import source_letters

CONTROLLER = Controller(
    name="Musterwerk Software AG",
    address="Lindenweg 12, 10115 Berlin",
    email="hello@musterwerk.example",
    dpo_email="privacy@musterwerk.example",
    privacy_policy_url="https://musterwerk.example/privacy",
    privacy_policy_version="2026-11",
    supervisory_authority="Berliner Beauftragte für Datenschutz und Informationsfreiheit",
)
WRITTEN_AT = datetime(2026, 11, 2, 9, tzinfo=UTC)
PUBLIC_URL = "https://consent.musterwerk.example"
TOKEN = "Zm9yLXRoZS1wcmV2aWV3IQ"  # noqa: S105 (opens nothing)
LINKS = LeadLinks(
    unsubscribe=f"{PUBLIC_URL}/unsubscribe/{TOKEN}",
    preferences=f"{PUBLIC_URL}/preferences/{TOKEN}",
    confirm=f"{PUBLIC_URL}/confirm/{TOKEN}",
    source_request=f"{PUBLIC_URL}/source-request",
)

READERS = {
    "named": (Recipient("lea.muster@firma.example", "Lea", "Muster"), "Firma & Söhne GmbH"),
    "nameless": (Recipient("info@firma.example", None, None), None),
}
SUBSCRIBER = Recipient("vertrieb@beispiel-vertrieb.example", None, None)

COMPANIES = (
    ("Firma & Söhne GmbH", "firma.example"),
    ("Société Générale d’Équipements Industriels et de Maintenance du Grand Sud-Ouest S.A.", "sgeim.example"),
    (None, "nordlicht-energie.example"),
    ("Łódzkie Zakłady <Ø> Spółka z o.o.", "lodzkie-zaklady-przemyslowe-i-uslugowe.example"),
    ("Παράδειγμα Λογισμικού", "paradeigma.example"),
    ("Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft", "donau.example"),
)


def sample_letters(language: Language) -> dict[str, Letter]:
    """Every letter by the name of its files, filled with what is made up."""
    to_leads = {
        f"{kind.replace('_', '-')}-{reader}": _to_lead(kind, language, recipient, company)
        for kind, (reader, (recipient, company)) in product(LetterKind, READERS.items())
    }
    about_sources = source_letters(language, CONTROLLER, WRITTEN_AT, PUBLIC_URL, TOKEN)
    return {**to_leads, **_to_partners(language), **_sign_ins(language), **about_sources}


def _to_lead(kind: LetterKind, language: Language, recipient: Recipient, company: str | None) -> LeadLetter:
    asks = kind is LetterKind.DOUBLE_OPT_IN
    return LeadLetter(
        kind=kind,
        language=language,
        recipient=recipient,
        company=company,
        controller=CONTROLLER,
        links=LINKS if asks else replace(LINKS, confirm=None),
        written_at=WRITTEN_AT,
        answer_until=WRITTEN_AT + timedelta(days=30) if asks else None,
    )


def _to_partners(language: Language) -> dict[str, Letter]:
    """A request for confirmation; an immediate notification, a daily one, and a weekly one of very much."""
    hour = timedelta(hours=1)
    immediate = DigestLetter(
        language=language,
        recipient=SUBSCRIBER,
        controller=CONTROLLER,
        partner="Beispiel Vertrieb GmbH",
        delivery=Delivery.IMMEDIATE,
        companies=_reports(1, urgent=1, since=WRITTEN_AT, until=WRITTEN_AT + hour),
        begins_at=WRITTEN_AT + 0.1 * hour,
        time_zone="Europe/Berlin",
        page=f"{PUBLIC_URL}/partner",
        unsubscribe=LINKS.unsubscribe,
        written_at=WRITTEN_AT + 0.35 * hour,
    )
    since = WRITTEN_AT - timedelta(days=7)
    return {
        "subscription": SubscriptionLetter(
            language=language,
            recipient=SUBSCRIBER,
            controller=CONTROLLER,
            partner=immediate.partner,
            confirm=f"{PUBLIC_URL}/subscription/{TOKEN}",
            unsubscribe=immediate.unsubscribe,
            written_at=WRITTEN_AT,
            answer_until=WRITTEN_AT + timedelta(days=30),
        ),
        "digest-immediate": immediate,
        "digest-daily": replace(
            immediate,
            delivery=Delivery.DAILY,
            companies=_reports(4, urgent=0, since=WRITTEN_AT - 24 * hour, until=WRITTEN_AT - 11 * hour),
            begins_at=WRITTEN_AT - timedelta(days=1),
        ),
        "digest-weekly": replace(
            immediate,
            delivery=Delivery.WEEKLY,
            companies=_reports(38, urgent=2, since=since, until=WRITTEN_AT - 11 * hour),
            begins_at=since,
        ),
    }


def _sign_ins(language: Language) -> dict[str, Letter]:
    return {
        f"sign-in-{door}": SignInLetter(
            language=language,
            recipient=SUBSCRIBER,
            controller=CONTROLLER,
            door=door,
            link=f"{PUBLIC_URL}/{door}/sign-in/{TOKEN}",
            written_at=WRITTEN_AT,
            valid_until=WRITTEN_AT + LINK_VALIDITY,
        )
        for door in Door
    }


def _reports(number: int, *, urgent: int, since: datetime, until: datetime) -> tuple[CompanyReport, ...]:
    """What so many companies did within that time, the first of them something urgent."""
    hours = (until - since) // timedelta(hours=1)

    def happened(company: int, domain: str) -> Iterator[Happened]:
        actions = [action for action in Action if action not in URGENT or company < urgent]
        for place, action in enumerate(actions[company % 2 : 6 - company % 3]):
            often = action not in {*URGENT, Action.PURCHASED}
            for repeat in range(1 + often * ((company + place) % 4)):
                hour = since + timedelta(hours=(7 * company + 31 * place + 53 * repeat) % hours)
                yield Happened(domain, action, hour, 1 + often * ((place * repeat + company) % 4))

    return tuple(
        CompanyReport(name, domain, tuple(happened(company, domain)), WRITTEN_AT + timedelta(days=170 - 4 * company))
        for company, (name, domain) in zip(range(number), _companies(), strict=False)
    )


def _companies() -> Iterator[tuple[str | None, str]]:
    """As many as one likes: after the first ones, the same with numbers."""
    yield from COMPANIES
    for number, (name, domain) in enumerate(cycle(COMPANIES), 2):
        yield name and f"{name} {number}", f"{number}-{domain}"
