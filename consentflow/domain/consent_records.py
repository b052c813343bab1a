"""What the ledger proves of a subject's consent, read from the entries of its chain alone."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import partial

from consentflow.domain.consent import Fact
from consentflow.domain.evidence import ChainedEntry

Json = dict[str, object]

_REPORTED = "reported by another system"


class Status(StrEnum):
    """What became of a request for consent, in DPV's terms."""

    REQUESTED = "dpv:ConsentRequested"
    GIVEN = "dpv:ConsentGiven"
    UNANSWERED = "dpv:ConsentRequestDeferred"
    """No decision came in time."""
    REFUSED = "dpv:ConsentRefused"
    WITHDRAWN = "dpv:ConsentWithdrawn"


@dataclass(frozen=True, slots=True)
class Event:
    """One change of status, and the ledger entry that proves it."""

    status: Status
    at: datetime
    how: str
    entry: ChainedEntry


@dataclass(slots=True)
class ConsentRecord:
    """One request for consent, or one consent that another system reported.

    Args:
        record_id: The question's id; for a reported consent, one made from the entry's number.
        text_version: Hash of the wording that was asked, with its language.
        policy_version: The policy that decided to ask.
        privacy_policy_version: The privacy policy that the mail named.
        fetches: When the link was fetched, by a person or a program: looking is not consenting.
    """

    record_id: str
    mail_id: str | None = None
    language: str | None = None
    text_version: str | None = None
    policy_version: str | None = None
    privacy_policy_version: str | None = None
    registrations: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    fetches: list[ChainedEntry] = field(default_factory=list)

    @property
    def status(self) -> Status | None:
        """Where it stands; None as long as the mail has not left."""
        return self.events[-1].status if self.events else None

    def becomes(self, status: Status, how: str, entry: ChainedEntry) -> None:
        """Notes a change; what is so already stays as it was first proved."""
        if self.status is not status:
            self.events.append(Event(status, entry.at, how, entry))


def consent_records(entries: Iterable[ChainedEntry]) -> list[ConsentRecord]:
    """Every request for consent of one subject that left, and every reported consent, from its whole chain."""
    reading = _Reading()
    for entry in entries:
        reading.take(entry)
    return [record for record in reading.records if record.events]


class _Reading:
    """Makes records of entries, in the order of the chain."""

    def __init__(self) -> None:
        self.records: list[ConsentRecord] = []
        self._readers: dict[str, Callable[[ChainedEntry, Json], None]] = {
            "mail_frozen": self._frozen,
            "mail_accepted": partial(self._left, "mail accepted by the server"),
            "mail_unsure": partial(self._left, "mail possibly accepted by the server"),
            "asked": self._shared,
            "link_fetched": self._fetched,
            "consent_given": self._given,
            "confirmed": self._shared,
            "consent_withdrawn": self._withdrawn,
            "consent_event": self._reported,
            "lapsed": self._lapsed,
            "objected": self._objected,
            "complaint": self._complained,
        }

    def take(self, entry: ChainedEntry) -> None:
        """Reads the next entry; most say nothing of consent."""
        if reader := self._readers.get(entry.event):
            reader(entry, json.loads(entry.detail))

    def _frozen(self, entry: ChainedEntry, detail: Json) -> None:
        if not _asks(detail):
            return
        self.records.append(
            ConsentRecord(
                record_id=str(detail.get("question_id") or detail["mail_id"]),
                mail_id=_optional(detail.get("mail_id")),
                language=_optional(detail.get("language")),
                text_version=_optional(detail.get("text_version")),
                policy_version=_optional(detail.get("policy_version")),
                privacy_policy_version=_optional(detail.get("privacy_policy_version")),
                registrations=[entry.registration_id] if entry.registration_id else [],
            )
        )

    def _left(self, how: str, entry: ChainedEntry, detail: Json) -> None:
        if record := self._of_mail(detail):
            record.becomes(Status.REQUESTED, how, entry)

    def _shared(self, entry: ChainedEntry, _: Json) -> None:
        """One of the registrations that share the question went on with it."""
        record = self._last()
        if record and entry.registration_id and entry.registration_id not in record.registrations:
            record.registrations.append(entry.registration_id)

    def _fetched(self, entry: ChainedEntry, detail: Json) -> None:
        if record := self._of_mail(detail) or self._last():
            record.fetches.append(entry)

    def _given(self, entry: ChainedEntry, detail: Json) -> None:
        if record := self._of_mail(detail) or self._last():
            record.becomes(Status.GIVEN, str(detail.get("how")), entry)

    def _reported(self, entry: ChainedEntry, detail: Json) -> None:
        if detail.get("fact") == Fact.OPTED_IN:
            reported = ConsentRecord(f"reported-{entry.entry_id}")
            reported.becomes(Status.GIVEN, _REPORTED, entry)
            self.records.append(reported)
        elif detail.get("fact") == Fact.OBJECTED:
            self._stop(_REPORTED, entry)

    def _lapsed(self, entry: ChainedEntry, detail: Json) -> None:
        self._shared(entry, detail)
        record = self._last()
        if record and record.status is Status.REQUESTED:
            record.becomes(Status.UNANSWERED, "no answer in time", entry)

    def _withdrawn(self, entry: ChainedEntry, detail: Json) -> None:
        for record in self.records:
            if record.status is Status.GIVEN:
                record.becomes(Status.WITHDRAWN, str(detail.get("how")), entry)

    def _complained(self, entry: ChainedEntry, _: Json) -> None:
        self._stop("complaint through the mail provider", entry)

    def _objected(self, entry: ChainedEntry, detail: Json) -> None:
        self._stop(str(detail.get("how")), entry)

    def _of_mail(self, detail: Json) -> ConsentRecord | None:
        mail_id = detail.get("mail_id")
        return next((record for record in self.records if mail_id and record.mail_id == mail_id), None)

    def _last(self) -> ConsentRecord | None:
        """The last that was asked by mail: for entries that name no mail."""
        return next((record for record in reversed(self.records) if record.mail_id), None)

    def _stop(self, how: str, entry: ChainedEntry) -> None:
        """No mail is wanted any more: more than withdrawing, and an answer to what was asked."""
        for record in self.records:
            if record.status is Status.GIVEN:
                record.becomes(Status.WITHDRAWN, how, entry)
            elif record.status is Status.REQUESTED:
                record.becomes(Status.REFUSED, how, entry)


def _asks(detail: Json) -> bool:
    """Whether a mail asks for consent; entries from before mails named their question tell by the regime."""
    return "question_id" in detail or ("kind" not in detail and detail.get("regime") == "double_opt_in")


def _optional(value: object) -> str | None:
    return None if value is None else str(value)
