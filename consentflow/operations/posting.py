"""Sending what no registration asks for: frozen in the transaction that wants it, sent by a workflow of its own.

The bytes are made once, under a name (purpose and what it is about) that makes asking twice harmless. `begin` looks at
the record again at the moment of sending; `accepted`, `refused`, `postponed` or `unsure` writes down how it ended.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal
from uuid import UUID, uuid4

from consentflow.domain.addresses import Subject
from consentflow.domain.clock import Clock
from consentflow.domain.errors import ConfigurationFault, NotFound, RecipientRefused, SendingFailed
from consentflow.domain.letters import Compose, Controller, Letter
from consentflow.domain.partner_letters import PartnerLetterKind
from consentflow.domain.sign_in import SignInKind
from consentflow.operations.bounces import stop_telling
from consentflow.operations.counting import count_mail, count_postponed, count_unsure
from consentflow.storage import ledger, mail_fault, mails, outbox
from consentflow.storage.mails import StoredMail
from consentflow.storage.pool import Connection, Database

FAULT_PAUSE = timedelta(minutes=5)
"""How long no mail is tried after the mail server has refused our own set-up."""

SEND = "mail.send"
"""The outbox topic of a mail that is frozen and ready."""

OPENS_DOORS = frozenset({PartnerLetterKind.SUBSCRIPTION, SignInKind.SIGN_IN, "source_identity"})
"""Purposes of mails whose link gives its reader a right: their bytes go as soon as they have left."""


StillWanted = Callable[[Connection, StoredMail, datetime], Awaitable[bool]]
"""Whether a frozen mail may leave by what is on record now; if not, whoever wrote it puts its own books right."""


class NotYet(Exception):
    """The time has not come: ask again after ``wait``."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__(str(wait))
        self.wait = wait


class Outcome(StrEnum):
    """How a mail ended."""

    ACCEPTED = "accepted"
    UNSURE = "unsure"
    REFUSED = "refused"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Office:
    """In whose name letters are written.

    Args:
        public_url: Where the pages are reached, without a slash at the end.
        when_unsure: Whether a mail that may have been taken is sent again (same bytes, same Message-ID) or held.
    """

    controller: Controller
    public_url: str
    when_unsure: Literal["retry", "hold"] = "retry"


async def post(
    connection: Connection,
    compose: Compose,
    letter: Letter,
    subject: Subject,
    about: str,
    *,
    send_until: datetime | None = None,
) -> UUID:
    """Freezes a mail in the caller's transaction, once for its purpose and what it is about; returns its id.

    Nothing is sent by that: either a workflow of the caller's delivers the mail, or `dispatch` is asked to.

    Args:
        about: Names the matter, such as ``digest/…``; no personal data.
        send_until: After this it need not leave any more, UTC.
    """
    mail_id, purpose = uuid4(), letter.kind.value
    frozen = compose(letter, str(mail_id))
    if not await mails.freeze_once(
        connection, mail_id, purpose, subject, about, frozen, letter.written_at, send_until
    ) and (known := await mails.find_about(connection, purpose, about)):
        return known.mail_id
    detail = {
        "kind": purpose,
        "mail_id": str(mail_id),
        "about": about,
        "language": letter.language.value,
        "text_version": frozen.text_version,
    }
    await ledger.append(connection, letter.written_at, "mail_frozen", detail, subject=subject)
    return mail_id


async def dispatch(connection: Connection, mail_id: UUID) -> None:
    """Lets a frozen mail leave as soon as the transaction has happened."""
    await outbox.write(connection, SEND, {"mail_id": str(mail_id)})


class Posting:
    """The operations around one mail that no registration sends.

    Args:
        when_unsure: As in `Office`.
        still_wanted: By purpose, what asks the record whether such a mail may still leave.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        when_unsure: Literal["retry", "hold"],
        still_wanted: Mapping[str, StillWanted] | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._when_unsure = when_unsure
        self._still_wanted = still_wanted or {}

    async def begin(self, mail_id: UUID) -> StoredMail | Outcome:
        """The mail to send now, marked as being attempted; or how it has ended already.

        Raises:
            NotFound: No such mail.
            NotYet: Ask again later.
        """
        now = self._clock.now()
        async with self._database.transaction() as connection:
            mail = await _held(connection, mail_id)
            if mail.state not in {"frozen", "attempting"}:
                return Outcome(mail.state)
            if not await self._may_leave(connection, mail, now):
                tried = mail.state == "attempting"  # for all we know it has left
                return await _end(connection, mail, Outcome.UNSURE if tried else Outcome.DROPPED, None, now)
            await insist_on_sound_set_up(connection, now)
            if mail.state == "attempting" and self._when_unsure == "hold":
                return await _end(connection, mail, Outcome.UNSURE, None, now)
            if mail.state == "attempting":  # nobody knows how that attempt ended
                count_unsure()
            await mails.attempt(connection, mail_id)
            return mail

    async def accepted(self, mail_id: UUID, reply: str) -> Outcome:
        """The server took the mail."""
        return await self._left(mail_id, Outcome.ACCEPTED, status_of(reply))

    async def unsure(self, mail_id: UUID, reply: str) -> Outcome | None:
        """The server had the whole mail and never answered: None when it is to be sent again."""
        if self._when_unsure == "retry":
            return None
        return await self._left(mail_id, Outcome.UNSURE, reply)

    async def postponed(self, mail_id: UUID, failure: SendingFailed) -> None:
        """The mail did not leave; the same bytes will be tried again."""
        async with self._database.transaction() as connection:
            await mails.rest(connection, mail_id, str(failure))
            count_postponed()
            if isinstance(failure, ConfigurationFault):
                await mail_fault.note(connection, str(failure), self._clock.now())

    async def refused(self, mail_id: UUID, failure: RecipientRefused) -> Outcome:
        """The mailbox does not exist."""
        async with self._database.transaction() as connection:
            mail, now = await _held(connection, mail_id), self._clock.now()
            await stop_telling(connection, mail, now)
            return await _end(connection, mail, Outcome.REFUSED, str(failure), now)

    async def _may_leave(self, connection: Connection, mail: StoredMail, now: datetime) -> bool:
        if mail.mail is None or (mail.send_until and mail.send_until <= now):
            return False
        asks = self._still_wanted.get(mail.purpose)
        return asks is None or await asks(connection, mail, now)

    async def _left(self, mail_id: UUID, outcome: Outcome, reply: str | None) -> Outcome:
        async with self._database.transaction() as connection:
            mail = await _held(connection, mail_id)
            await mail_fault.clear(connection)
            return await _end(connection, mail, outcome, reply, self._clock.now())


async def insist_on_sound_set_up(connection: Connection, now: datetime) -> None:
    """While the server refuses our set-up no mail leaves, except one now and then to see whether it was mended.

    Raises:
        NotYet: It did so a moment ago.
    """
    fault = await mail_fault.find(connection)
    if fault and now < fault.last_seen + FAULT_PAUSE:
        raise NotYet(fault.last_seen + FAULT_PAUSE - now)


def status_of(reply: str) -> str | None:
    """The status code of a reply (RFC 3463). Nothing else of it is kept: the text may name the recipient."""
    status = re.match(r"\d\.\d{1,3}\.\d{1,3}\b", reply)
    return status[0] if status else None


async def _held(connection: Connection, mail_id: UUID) -> StoredMail:
    mail = await mails.lock(connection, mail_id)
    if mail is None:
        raise NotFound("mail")
    return mail


async def _end(connection: Connection, mail: StoredMail, outcome: Outcome, reply: str | None, now: datetime) -> Outcome:
    await mails.close(connection, mail.mail_id, outcome, reply, now)
    count_mail(mail.purpose, outcome)
    if mail.purpose in OPENS_DOORS or outcome is Outcome.DROPPED:
        await mails.forget_bytes(connection, mail.mail_id)
    detail = {"mail_id": str(mail.mail_id), "kind": mail.purpose} | ({"reply": reply} if reply else {})
    await ledger.append(connection, now, f"mail_{outcome.value}", detail, subject=mail.subject)
    return outcome
