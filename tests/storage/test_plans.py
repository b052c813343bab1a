"""No statement in storage reads a table that grows from end to end, however many registrations there are.

Each is explained and measured with real values against a filled database: 100 000 registrations, or with FULL=1 a
million. A new function in storage needs a line in `EXAMPLES`, and each of its statements one that reaches it; the tests
say which are missing.
"""

import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from importlib import import_module
from typing import Any
from uuid import UUID, uuid4

import pytest

from benchmarks.measured.filling import (
    BIG_COMPANY,
    BIG_PARTNER,
    REGISTRANT,
    digest_id,
    mail_id,
    person,
    question_id,
    registrant,
    subscriber_id,
)
from consentflow import storage
from consentflow.domain.acts import Act, Actor
from consentflow.domain.addresses import Subject
from consentflow.domain.audit import Findings
from consentflow.domain.consent import Fact
from consentflow.domain.evidence import Checkpoint, Seal
from consentflow.domain.letters import FrozenMail, Language
from consentflow.domain.notifications import Action, CompanyReport, Happened
from consentflow.domain.paging import Mark
from consentflow.domain.partners import Choice, Partner, Subscriber, SubscriberKind, SubscriberState
from consentflow.domain.purchases import Purchase
from consentflow.domain.registrations import Kind, Registration, State
from consentflow.domain.sign_in import Door
from consentflow.domain.source_requests import Channel, SourceRequest, SourceState
from consentflow.domain.worklist import ANSWERABLE
from consentflow.runtime import Parts
from consentflow.storage import (
    access,
    agenda,
    audit,
    chains,
    checkpoints,
    companies,
    company_actions,
    contacts,
    credits,  # noqa: A004 - the module's name
    decisions,
    digests,
    events,
    facts,
    holdings,
    keys,
    leaving,
    ledger,
    mail_fault,
    mail_records,
    mails,
    officers,
    outbox,
    partner_views,
    partners,
    people,
    personal,
    pool,
    questions,
    registrations,
    retention,
    search,
    sessions,
    sign_ins,
    source_requests,
    subscribers,
    taking,
    tokens,
    trail,
    verifications,
    worklist,
)
from consentflow.storage.audit import Filters
from consentflow.storage.companies import Ownership
from consentflow.storage.company_actions import Place
from consentflow.storage.contacts import Contact
from consentflow.storage.digests import Digest
from consentflow.storage.leaving import Left
from consentflow.storage.mails import StoredMail
from consentflow.storage.officers import Officer
from consentflow.storage.questions import AskedQuestion
from consentflow.storage.sessions import StoredSession
from consentflow.storage.sign_ins import SignIn
from consentflow.storage.source_requests import Wanted
from consentflow.storage.taking import New
from consentflow.storage.tokens import Token
from consentflow.storage.trail import NewEntry, NewMessage
from tests.storage.conftest import FILLING, NOW, NUMBER
from tests.storage.plans import SMALL, Explaining, Seen, places

pytestmark = FILLING

ROWS = 250
"""That a step of a plan may look at, unless an example says why more."""

AWAITING, WAITING, ACCEPTED = NUMBER - 1000, NUMBER - 995, NUMBER - 100
CONFIRMED, NOTIFIED = 1000, 1003
"""Numbers of registrations in these states."""

OLD = NOW - timedelta(days=365)
RECENT = NOW - timedelta(minutes=30)
SOMEBODY = Subject("s-" + "7" * 32)
"""Whom nobody knows."""

HASH = sha256(b"new").digest()
ASKED = tuple(person(n) for n in range(AWAITING, AWAITING + 20))
DOMAINS = tuple(f"company-{n}.example" for n in range(20))
HOUR = NOW.replace(minute=0)


def token_hash(text: str) -> bytes:
    return sha256(text.encode()).digest()


@dataclass(frozen=True, slots=True)
class Example:
    """A call of a function in storage.

    Args:
        function: Takes a connection, and these values.
        because: Why it may look at more than `ROWS` rows, or at whole tables.
    """

    function: Callable[..., Any]
    values: tuple[object, ...] = ()
    named: dict[str, object] = field(default_factory=dict)
    because: str = ""

    @property
    def name(self) -> str:
        return f"{self.function.__module__.rpartition('.')[2]}.{self.function.__name__}"

    async def call(self, connection: Any) -> None:  # noqa: ANN401 - the explaining one
        called = self.function(connection, *self.values, **self.named)
        if inspect.isasyncgen(called):
            async for _ in called:
                break  # a cursor's rows come as they are needed
            await called.aclose()
        else:
            await called


def example(function: Callable[..., Any], *values: object, **named: object) -> Example:
    return Example(function, values, named)


def reads_all(because: str, function: Callable[..., Any], *values: object, **named: object) -> Example:
    """A call that is meant to read as much as there is."""
    return Example(function, values, named, because=because)


REGISTRATION = Registration(
    registration_id="r-new",
    kind=Kind.LEAD,
    partner_id="p-1",
    registered_by=registrant(1),
    subject=SOMEBODY,
    company_name="Company 1",
    company_domain="company-1.example",
    company_refusal=None,
    country="DE",
    country_received="DE",
    regime="double_opt_in",
    reason="double_opt_in_region",
    state=State.ACCEPTED,
    registered_at=NOW,
    accepted_at=NOW,
    due_at=NOW,
    policy_version="filled",
    revision=1,
    question_id=question_id(AWAITING),
    fingerprint=b"",
)
KNOWN = replace(REGISTRATION, registration_id=f"r-{WAITING}", subject=person(WAITING))
CONTACT = Contact(SOMEBODY, "lea@company.example", "Lea", "Muster", "de")
KNOWN_CONTACTS = [Contact(who, "lea@company.example", None, None, "fr") for who in (*ASKED, REGISTRANT)]
FROZEN = FrozenMail("<new@x.example>", "b-new@x.example", "lea@x.example", b"text", Language.GERMAN, "version")
LETTER = StoredMail(
    uuid4(), SOMEBODY, "notice", f"r-{WAITING}", question_id(AWAITING), FROZEN.message_id, "frozen", FROZEN
)
LETTERS = [mail_id(n) for n in range(AWAITING, AWAITING + 20)]
REGISTERED = [f"r-{n}" for n in range(AWAITING, AWAITING + 20)]
TOKEN = Token("confirm", SOMEBODY, question_id(AWAITING), Language.GERMAN, NOW, mail_id=mail_id(AWAITING))
SUBSCRIBER = Subscriber(
    subscriber_id(1),
    "p-1",
    SubscriberKind.PARTNER,
    registrant(1),
    "person1@partner.example",
    Choice(),
    SubscriberState.ACTIVE,
    OLD,
    OLD,
)
NEW_SUBSCRIBER = Subscriber(
    UUID(int=1), "p-1", SubscriberKind.PARTNER, SOMEBODY, "lea@x.example", Choice(), SubscriberState.PENDING, None, NOW
)
SPECIALIST = Subscriber(
    subscriber_id(15),
    "p-15",
    SubscriberKind.GROWTH_SPECIALIST,
    registrant(15),
    "person15@partner.example",
    Choice(frozenset(Action)),
    SubscriberState.ACTIVE,
    OLD,
    OLD,
)
REPORT = CompanyReport(None, "company-1.example", (Happened("company-1.example", Action.PURCHASED, HOUR, 1),), NOW)
REQUEST = SourceRequest(
    request_id="sr-new",
    subject=person(25),
    email="lea@x.example",
    name="Lea Muster",
    message=None,
    language=Language.GERMAN,
    country=None,
    channel=Channel.FORM,
    state=SourceState.IN_REVIEW,
    received_at=NOW,
    opened_at=NOW,
    target=NOW,
    deadline=NOW,
)
CLOSED = frozenset({SourceState.DISCLOSED, SourceState.REFUSED})
SEAL = Seal((NOW + timedelta(days=1)).date(), 1, HASH, HASH, 1, NOW)
SESSION = StoredSession(Door.PARTNER, SOMEBODY, Language.GERMAN, NOW, NOW, NOW)
OFFICER = Officer(SOMEBODY, "officer@x.example", "officer", Language.GERMAN, NOW)
NEWS = tuple(("p-1", f"company-{n}.example", Action.DEMO_REQUESTED, HOUR) for n in range(5))
EVENTS = [("site", f"new-{n}") for n in range(20)]
VIEW = {
    "partner_id": "p-1",
    "now": NOW,
    "since": NOW - timedelta(days=30),
    "wanted": "",
    "followed_by": None,
    "skip": 0,
    "most": 50,
}
UNTOLD_SINCE = NOW - timedelta(days=14)
OWN_DATA = "tells a person all that is held of it; the person is the one that has made a twentieth of all registrations"

EXAMPLES = [
    # access
    example(access.registrations_of, person(CONFIRMED)),
    reads_all(OWN_DATA, access.registrations_by, REGISTRANT),
    example(access.companies_followed, registrant(15)),
    # agenda
    example(agenda.next_due, NOW),
    reads_all("counts what is late: nothing, as a rule; here every digest is", agenda.overdue, NOW),
    reads_all("the oldest of what is late: nothing, as a rule", agenda.overdue_since, NOW),
    reads_all("counts what is open, along indexes of that alone, once a minute at the most", agenda.count_open),
    reads_all("counts the day ahead, as above", agenda.count_due, NOW, NOW + timedelta(days=1)),
    # audit
    *(
        example(audit.acts, filters, after, 51)
        for after in (None, Mark(NOW - timedelta(days=20), "1"))
        for filters in (
            Filters(),
            Filters(actor=Actor("officer 3")),
            Filters(act=Act.EXPORTED),
            Filters(actor=Actor("officer 3"), act=Act.EXPORTED),
            Filters(subject=person(1005)),
            Filters(since=NOW - timedelta(days=700), before=NOW - timedelta(days=7)),
            Filters(act=Act.VIEWED, since=NOW - timedelta(days=700), before=NOW - timedelta(days=7)),
        )
    ),
    # chains
    reads_all("verifying goes through the whole ledger", chains.walk),
    reads_all("a checkpoint covers what was appended since the one before", chains.heads, NUMBER * 5, NUMBER * 5 + 500),
    example(chains.of_subject, person(CONFIRMED)),
    example(chains.clean_cut),
    # checkpoints
    example(checkpoints.take_turn),
    example(checkpoints.insert, Checkpoint(SEAL, HASH, HASH)),
    example(checkpoints.find_latest),
    example(checkpoints.find_newest, 10),
    reads_all("one a day", checkpoints.find_all),
    # companies
    example(companies.set_status, "company-1.example", "customer", NOW),
    example(companies.find_owner, "company-1.example", NOW),
    example(companies.find_owners, DOMAINS, NOW),
    example(companies.owned_by, BIG_PARTNER, NOW, "", 51),
    example(companies.owned_by, BIG_PARTNER, NOW, "company-5.example", 51),
    example(companies.names, "p-1", DOMAINS),
    reads_all("looks at all contacts of a company", companies.names, BIG_PARTNER, [BIG_COMPANY]),
    example(companies.carry_on, "company-1.example", "p-1"),
    reads_all("a withdrawal looks at what is left at the company", companies.carry_on, BIG_COMPANY, BIG_PARTNER),
    # company_actions
    example(company_actions.add, {Place("p-1", domain, Action.PURCHASED, HOUR): 1 for domain in DOMAINS}),
    example(company_actions.since, "p-1", DOMAINS, NOW - timedelta(days=30)),
    # contacts
    example(contacts.fill_all, [CONTACT, *KNOWN_CONTACTS]),
    example(contacts.find, person(CONFIRMED)),
    example(contacts.set_language, person(CONFIRMED), "de"),
    example(contacts.erase, person(CONFIRMED)),
    # credits
    example(credits.add, "p-1", "company-1.example", Purchase(Decimal(1), "EUR"), NOW.date(), HOUR, ("shop", "new")),
    example(credits.of_partner, BIG_PARTNER, None, 51),
    example(credits.of_partner, BIG_PARTNER, NUMBER // 8, 51),
    reads_all("an export of all credits of a partner", credits.of_partner, BIG_PARTNER),
    # decisions
    reads_all("a policy is tried on every registration", decisions.walk),
    # digests
    example(digests.find, digest_id(0, of_subscriber=1)),
    example(digests.hold, digest_id(0, of_subscriber=1)),
    example(digests.find_open, subscriber_id(1)),
    example(digests.find_waiting, "p-1"),
    example(digests.find_by_mail, mail_id(CONFIRMED)),
    reads_all("starts all digests again after Temporal has lost them; only dev does", digests.find_unfinished),
    example(digests.find_wanting, NEWS),
    example(digests.open_all, [Digest(uuid4(), subscriber_id(3), NOW, NOW)]),
    example(digests.move, digest_id(0, of_subscriber=1), NOW),
    example(digests.close, digest_id(0, of_subscriber=1), NOW),
    example(digests.find_untold, SUBSCRIBER, UNTOLD_SINCE, NOW),
    example(digests.find_untold, SPECIALIST, UNTOLD_SINCE, NOW),
    example(digests.tell, Digest(digest_id(0, of_subscriber=1), subscriber_id(1), NOW, NOW), [REPORT]),
    example(digests.take_back, digest_id(3, of_subscriber=2)),
    example(digests.tells_of_others, digest_id(3, of_subscriber=2), "p-2", NOW),
    # events
    example(events.note_new, EVENTS, ["company.pricing_viewed"] * len(EVENTS), HOUR),
    example(events.seen, EVENTS),
    # facts
    example(facts.record, person(CONFIRMED), Fact.OBJECTED, NOW, NOW),
    example(facts.record_all, [(person(CONFIRMED), Fact.OBJECTED, NOW)], NOW),
    example(facts.of_subject, person(CONFIRMED)),
    example(facts.of_subjects, ASKED),
    example(facts.history, person(CONFIRMED)),
    # holdings
    *(
        example(function, holding, who)
        for holding in personal.HOLDINGS
        for who in (person(CONFIRMED), registrant(1))
        for function in (holdings.erase, holdings.read)
        if function is holdings.erase or holding.order
    ),
    example(holdings.erase, personal.SIGN_INS, [UUID(int=1)]),
    example(holdings.read, personal.SIGN_INS, [UUID(int=1)]),
    example(holdings.typed_addresses),
    example(holdings.hold_posted_mails, person(25)),
    example(holdings.unsent_letters_naming, registrant(1)),
    # keys
    example(keys.insert, "new", "officer", HASH, NOW),
    example(keys.find, token_hash("key-1")),
    # leaving
    example(leaving.lock, REGISTERED, LETTERS),
    example(leaving.find, REGISTERED, []),
    example(leaving.find, [], LETTERS),
    example(leaving.find, REGISTERED, LETTERS),
    example(leaving.freeze_and_attempt, [LETTER], NOW),
    example(leaving.close_accepted, [Left(LETTERS[0], None, question_id(AWAITING), NOW, KNOWN)], NOW),
    # ledger
    example(ledger.append, NOW, "viewed", {"actor": "officer 1", "act": "viewed"}, subject=person(CONFIRMED)),
    example(ledger.append, NOW, "account_status", {"domain": "company.example"}),
    example(ledger.append_all, NOW, "consent_event", [(who, {"type": "x"}) for who in ASKED]),
    example(ledger.knows_since, person(CONFIRMED), "viewed", {"actor": "officer 1"}, RECENT),
    example(ledger.of_registrations, [f"r-{CONFIRMED}", f"r-{WAITING}"]),
    # mail_fault
    example(mail_fault.note, "auth 535", NOW),
    example(mail_fault.find),
    example(mail_fault.clear),
    # mail_records
    example(mail_records.of_registration, f"r-{CONFIRMED}"),
    example(mail_records.of_subject, REGISTRANT, None, 51),
    example(mail_records.of_subject, REGISTRANT, Mark(OLD, str(UUID(int=0))), 51),
    # mails
    example(mails.freeze, LETTER, NOW),
    example(mails.freeze_once, uuid4(), "digest", SOMEBODY, "digest/new", FROZEN, NOW, None),
    example(mails.find_about, "source_receipt", "source-request/sr-77"),
    example(mails.lock, mail_id(ACCEPTED)),
    example(mails.forget_bytes, mail_id(ACCEPTED)),
    example(mails.find_in_flight, person(ACCEPTED)),
    example(mails.find, mail_id(ACCEPTED)),
    example(mails.find_to_leave),
    example(mails.text_version, mail_id(ACCEPTED)),
    example(mails.attempt, mail_id(ACCEPTED)),
    example(mails.rest, mail_id(ACCEPTED), "421"),
    example(mails.close, mail_id(ACCEPTED), "accepted", None, NOW),
    example(mails.drop_in_flight, f"r-{ACCEPTED}", NOW),
    example(mails.attempt_under_way, question_id(ACCEPTED)),
    example(mails.find_by_bounce_address, "b-1@sender.example"),
    example(mails.bounced, mail_id(CONFIRMED), None, NOW),
    example(mails.count_soft_bounce, mail_id(CONFIRMED), None),
    # officers
    example(officers.keep, OFFICER),
    example(officers.remove, SOMEBODY),
    example(officers.find, SOMEBODY),
    example(officers.find_all),
    # outbox
    example(outbox.write, "registration.start", {"registration_id": "r-1"}),
    example(outbox.write_all, "registration.start", [{"registration_id": "r-1"}] * 3),
    example(outbox.claim, 100),
    example(outbox.delivered, [1, 2, 3]),
    example(outbox.postpone, [1, 2, 3], timedelta(seconds=1)),
    example(outbox.depth),
    # partner_views
    example(partner_views.companies, **VIEW),
    example(partner_views.companies, **VIEW | {"wanted": "company"}),
    example(partner_views.companies, **VIEW | {"followed_by": registrant(15), "partner_id": "p-15"}),
    reads_all(
        "sorts and counts all companies of one partner", partner_views.companies, **VIEW | {"partner_id": BIG_PARTNER}
    ),
    example(partner_views.months_of_credits, "p-1"),
    # partners
    example(partners.put, Partner("p-1", "Partner"), NOW),
    example(partners.find, "p-1"),
    example(partners.find_all, ["p-1", "p-2"]),
    example(partners.find_or_name, "p-1"),
    # people
    example(people.partners_of, registrant(1)),
    example(people.address_of, registrant(1)),
    example(people.address_of, SOMEBODY),
    example(people.has_registered, REGISTRANT, "p-none"),
    # pool
    example(pool.write_now),
    example(pool.lock_subject, SOMEBODY),
    example(pool.lock_subjects, list(ASKED)),
    example(pool.lock_company, "company.example"),
    example(pool.lock_subjects_and_companies, ASKED, DOMAINS),
    example(pool.lock_partners, ["p-1"]),
    # questions
    example(questions.put_all, [AskedQuestion(uuid4(), SOMEBODY, "r-new", None, None, None)], NOW),
    example(questions.find, question_id(AWAITING)),
    example(questions.find_open, ASKED),
    example(questions.asked, question_id(ACCEPTED), NOW, NOW),
    example(questions.close, question_id(AWAITING), "confirmed", NOW),
    # registrations
    example(registrations.find, f"r-{WAITING}"),
    example(registrations.find_all, [f"r-{n}" for n in range(1, 100)]),
    example(registrations.find_open, ASKED),
    example(registrations.find_in_state, person(WAITING), State.WAITING),
    example(registrations.find_by_question, question_id(AWAITING)),
    reads_all("dev with a clock that is moved by hand: starts all workflows again", registrations.find_all_open),
    example(registrations.update_all, [KNOWN]),
    example(registrations.contact_needed, REGISTRANT),
    example(registrations.known_among, [*ASKED, SOMEBODY]),
    # retention
    *(example(retention.sweep, name, NOW - timedelta(days=100), 100) for name in retention.SWEEPS),
    *(
        reads_all("the forecast counts all that would go", retention.outlook, name, NOW - timedelta(days=100))
        for name in retention.SWEEPS
    ),
    example(retention.contacts_to_look_at, OLD, 100),
    example(retention.needed_at, [person(CONFIRMED), registrant(1), SOMEBODY], OLD),
    example(retention.put_off, {person(CONFIRMED): NOW, registrant(1): NOW}),
    reads_all("the forecast counts all that would go", retention.contacts_outlook, OLD, OLD + timedelta(days=30)),
    # search
    *(
        example(search.registrations, by, value, after, 51)
        for by, value in (("subject", person(9)), ("registered_by", REGISTRANT), ("company_domain", BIG_COMPANY))
        for after in (None, Mark(OLD, ""))
    ),
    example(search.registration_exists, "r-77"),
    example(search.requests, person(25)),
    example(search.request_exists, "sr-77"),
    example(search.suppressions, None, 51),
    example(search.suppressions, Mark(OLD, "1"), 51),
    # sessions
    example(sessions.keep, HASH, SESSION),
    example(sessions.find, token_hash("session-27"), Door.PARTNER),
    example(sessions.touch, token_hash("session-27"), NOW),
    example(sessions.set_language, token_hash("session-27"), Door.PARTNER, Language.FRENCH),
    example(sessions.end, token_hash("session-27"), Door.PARTNER),
    example(sessions.end_all, registrant(27)),
    example(sessions.end_all, registrant(27), Door.PARTNER),
    # sign_ins
    example(sign_ins.keep, uuid4(), SignIn(Door.PARTNER, "lea@x.example", Language.GERMAN, NOW)),
    example(sign_ins.find_all),
    example(sign_ins.take, UUID(int=1)),
    example(sign_ins.count_answers, REGISTRANT, RECENT),
    # source_requests
    example(source_requests.insert, REQUEST),
    example(source_requests.update, REQUEST),
    example(source_requests.find, "sr-77"),
    example(source_requests.find_open, REQUEST.subject),
    example(source_requests.find_first_open, REQUEST.subject),
    example(source_requests.find_repeating, "sr-50"),
    reads_all("dev with a clock that is moved by hand", source_requests.find_all_open),
    *(
        example(source_requests.find_page, Wanted(states, due_before), after, 51)
        for states in (ANSWERABLE, CLOSED, ANSWERABLE | CLOSED)
        for due_before in (None, NOW)
        for after in (None, Mark(OLD, "sr-1"))
    ),
    example(source_requests.find_closed, None, 51),
    example(source_requests.find_closed, Mark(OLD, "sr-1"), 51),
    reads_all("requests that are late: none, as a rule", source_requests.count_overdue, NOW),
    example(source_requests.was_written_to_since, REGISTRANT, RECENT),
    example(source_requests.find_registrations, person(CONFIRMED)),
    example(source_requests.timeline, REQUEST),
    # subscribers
    example(subscribers.insert, NEW_SUBSCRIBER),
    example(subscribers.update, SUBSCRIBER),
    example(subscribers.find, "p-1", registrant(1)),
    example(subscribers.find_by_id, subscriber_id(1)),
    example(subscribers.of_partner, "p-1", "", 51),
    example(subscribers.of_person, registrant(1)),
    example(subscribers.remove, subscriber_id(1)),
    example(subscribers.follow, subscriber_id(15), "new.example"),
    example(subscribers.unfollow_unless_named, subscriber_id(15), "company-15.example"),
    example(subscribers.follows_any, subscriber_id(15)),
    # taking
    example(taking.find, [*REGISTERED, "r-new"], [*ASKED, SOMEBODY], [*DOMAINS, "nobody.example"], NOW),
    example(taking.find, [], [person(CONFIRMED)], [], NOW),
    example(
        taking.write,
        New(
            [REGISTRATION],
            [AskedQuestion(uuid4(), SOMEBODY, "r-new", None, None, None)],
            dict.fromkeys(DOMAINS, Ownership("p-1", NOW, NOW)),
            [CONTACT, *KNOWN_CONTACTS],
            {REGISTRANT},
        ),
        NOW,
    ),
    # tokens
    example(tokens.keep, HASH, TOKEN),
    example(tokens.keep_all, {HASH: TOKEN}),
    example(tokens.find, token_hash(f"confirm-{AWAITING}"), "confirm"),
    example(tokens.is_valid_about, "sign_in", "partner 1000", NOW),
    example(tokens.use, token_hash(f"confirm-{AWAITING}"), NOW),
    example(tokens.extend, question_id(AWAITING), NOW),
    # trail
    example(trail.write, [NewEntry(NOW, SOMEBODY, None, "viewed", {}), NewMessage("registration.start", {})]),
    # verifications
    example(verifications.keep, Findings(1, 1, 1, 0, (), None), NOW),
    example(verifications.find_latest),
    # worklist
    reads_all("counts open requests: an office full of them, not a history", worklist.count_open),
]


@dataclass(frozen=True, slots=True)
class Measured:
    """What a call was seen to do.

    Args:
        scanned: Tables that grow and were read from end to end, be it by a trigger, as Postgres itself counts.
    """

    seen: Seen
    scanned: set[str]


_MEASURED: dict[int, Measured] = {}


async def measure(filled: Parts, each: Example) -> Measured:
    """What the example does; done once, however many tests ask."""
    if id(each) not in _MEASURED:
        async with filled.database.transaction() as connection:
            undone = connection.transaction()
            await undone.start()
            explaining = Explaining(connection, measuring=not each.because)
            before = await _scans(connection)
            await each.call(explaining)
            after = await _scans(connection)
            await undone.rollback()
        scanned = {table for table in after if after[table] > before.get(table, 0)}
        _MEASURED[id(each)] = Measured(explaining.seen, scanned - SMALL.keys())
    return _MEASURED[id(each)]


async def _scans(connection: pool.Connection) -> dict[str, int]:
    rows = await connection.fetch("SELECT relname, seq_scan FROM pg_stat_xact_user_tables")
    return {row["relname"]: row["seq_scan"] for row in rows}


@pytest.mark.parametrize("each", [each for each in EXAMPLES if not each.because], ids=lambda each: each.name)
async def test_a_statement_looks_at_no_more_than_it_needs(filled: Parts, each: Example) -> None:
    measured = await measure(filled, each)
    assert not measured.seen.scanned, "\n".join(measured.seen.scanned.values())
    assert not measured.scanned, "read from end to end by a trigger"
    assert measured.seen.looked_at <= ROWS, measured.seen.busiest


@pytest.mark.parametrize("each", [each for each in EXAMPLES if each.because], ids=lambda each: each.name)
async def test_what_is_meant_to_read_much_reads_it_once(filled: Parts, each: Example) -> None:
    measured = await measure(filled, each)
    assert not measured.seen.repeated, "\n".join(measured.seen.repeated.values())


def test_every_function_of_storage_has_an_example() -> None:
    functions = {
        f"{name}.{function.__name__}"
        for _, name, _ in pkgutil.iter_modules(storage.__path__)
        for function in vars(import_module(f"{storage.__name__}.{name}")).values()
        if inspect.isfunction(function)
        and function.__module__ == f"{storage.__name__}.{name}"
        and not function.__name__.startswith("_")
        and "connection" in inspect.signature(function).parameters
    }
    unsaid = {"pool.write_at_the_end", "pool.take_along"}  # writes by what it is handed, and not at all
    assert functions - {each.name for each in EXAMPLES} == unsaid


async def test_every_statement_of_storage_is_reached_by_an_example(filled: Parts) -> None:
    reached = {place for each in EXAMPLES for place in (await measure(filled, each)).seen.places}
    missed = [
        place
        for place in places()
        if not any(file == place.file and place.first <= line <= place.last for file, line in reached)
    ]
    assert missed == []


async def test_a_statement_without_an_index_is_caught(filled: Parts) -> None:
    async with filled.database.transaction() as connection:
        explaining = Explaining(connection)
        await explaining.fetch("SELECT registration_id FROM registrations WHERE country = $1 LIMIT 3", "IS")
    assert explaining.seen.scanned.keys() == {"registrations"}
    assert explaining.seen.looked_at >= NUMBER


async def test_a_statement_whose_index_finds_too_much_is_caught(filled: Parts) -> None:
    async with filled.database.transaction() as connection:
        explaining = Explaining(connection)
        query = "SELECT registration_id FROM registrations WHERE registered_by = $1 AND country = $2"
        await explaining.fetch(query, REGISTRANT, "IS")
    assert not explaining.seen.scanned
    assert explaining.seen.looked_at >= NUMBER / 20
