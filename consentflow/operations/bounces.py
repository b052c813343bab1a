"""Mail that came back: a mailbox that does not exist, a complaint, or a mail that did not arrive this time."""

from datetime import datetime

from consentflow.domain.bounces import InboundKind, Verdict
from consentflow.domain.clock import Clock
from consentflow.domain.consent import Fact
from consentflow.domain.partner_letters import PartnerLetterKind
from consentflow.domain.policy import Policy
from consentflow.domain.registrations import OPEN, Registration, State
from consentflow.operations.consent import forget_if_suppressed
from consentflow.operations.subscribing import leave_all, pause_all
from consentflow.operations.weighing import Weighing
from consentflow.storage import ledger, mails, registrations
from consentflow.storage.mails import StoredMail
from consentflow.storage.pool import Connection, Database, lock_subject


class Bounces:
    """The operations on what came back."""

    def __init__(self, database: Database, clock: Clock, policy: Policy) -> None:
        self._database = database
        self._clock = clock
        self._policy = policy

    async def take(self, verdict: Verdict) -> bool:
        """Acts upon a claim, once, if it is about a mail we sent; False when it is ignored.

        The bounce address proves it: only those who carried or got the mail know it (RFC 3461 section 4, VERP). A
        Message-ID that belongs to another mail makes the claim false; relays may replace it, so it may be missing.
        """
        if verdict.kind is InboundKind.OTHER or verdict.bounce_address is None:
            return False
        now = self._clock.now()
        async with self._database.transaction() as connection:
            mail = await mails.find_by_bounce_address(connection, verdict.bounce_address)
            if mail is None or verdict.message_id not in (None, mail.message_id.lower()):
                return False
            if mail.registration_id is None:
                await _take_posted(connection, mail, verdict, now)
                return True
            weighing = await Weighing.of(connection, self._policy, mail.subject, now)
            registration = await registrations.find(connection, mail.registration_id)
            if registration is None:
                return False
            await weighing.note(registration, verdict.kind.value, mail_id=str(mail.mail_id), status=verdict.status)
            match verdict.kind:
                case InboundKind.SOFT_BOUNCE:
                    await mails.count_soft_bounce(connection, mail.mail_id, verdict.status)
                case InboundKind.HARD_BOUNCE if Fact.HARD_BOUNCED not in weighing.facts:
                    await mails.bounced(connection, mail.mail_id, verdict.status, now)
                    await end_undeliverable(weighing, registration, mail)
                case InboundKind.COMPLAINT if Fact.COMPLAINED not in weighing.facts:
                    await weighing.record(Fact.COMPLAINED, now)
                    await weighing.reconsider()
                    await forget_if_suppressed(weighing)
        return True


async def end_undeliverable(weighing: Weighing, registration: Registration, mail: StoredMail) -> None:
    """The mailbox does not exist: whoever asked, told or was about to ends undeliverable, and nothing follows."""
    await weighing.record(Fact.HARD_BOUNCED, weighing.at)
    if mail.question_id and weighing.question and weighing.question.question_id == mail.question_id:
        await weighing.conclude("undeliverable", State.UNDELIVERABLE, "undeliverable")
    elif registration.state in OPEN | {State.NOTIFIED}:
        await weighing.move(registration, State.UNDELIVERABLE, "undeliverable")
    await weighing.reconsider()
    await weighing.forget_unless_needed()


async def stop_telling(connection: Connection, mail: StoredMail, now: datetime) -> None:
    """The mailbox of a subscriber does not exist: it is told nothing until it shows that it does."""
    if mail.purpose in set(PartnerLetterKind):
        await lock_subject(connection, mail.subject)
        await pause_all(connection, mail.subject, now, InboundKind.HARD_BOUNCE)


async def _take_posted(connection: Connection, mail: StoredMail, verdict: Verdict, now: datetime) -> None:
    """About a mail that no registration sent. What the person is to us as a lead stays as it is."""
    await mails.lock(connection, mail.mail_id)  # before the subject, as whoever sends it does
    await lock_subject(connection, mail.subject)
    detail = {"mail_id": str(mail.mail_id), "kind": mail.purpose, "status": verdict.status}
    noted = {name: value for name, value in detail.items() if value is not None}
    await ledger.append(connection, now, verdict.kind.value, noted, subject=mail.subject)
    match verdict.kind:
        case InboundKind.SOFT_BOUNCE:
            await mails.count_soft_bounce(connection, mail.mail_id, verdict.status)
        case InboundKind.HARD_BOUNCE if await mails.bounced(connection, mail.mail_id, verdict.status, now):
            await stop_telling(connection, mail, now)
        case InboundKind.COMPLAINT if mail.purpose in set(PartnerLetterKind):
            await leave_all(connection, mail.subject, now, InboundKind.COMPLAINT)
