"""Erasing a person (GDPR Art. 17): out of every role, in one transaction.

What stays is pseudonymous: the ledger, and the fact that the person was erased, by which a later registration writes
to nobody. Workflows of the person hold no personal data; those still open are told that their registration has ended.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from consentflow.domain.acts import Act, Actor
from consentflow.domain.addresses import Subject, read_mailbox, read_person, subject_of
from consentflow.domain.clock import Clock
from consentflow.domain.consent import Fact
from consentflow.domain.policy import Policy
from consentflow.domain.registrations import State
from consentflow.domain.secrets import derive_key
from consentflow.domain.source_requests import abandoned
from consentflow.operations.audit import note_act
from consentflow.operations.consent import forget_if_suppressed
from consentflow.operations.source_desk import keep, note
from consentflow.operations.weighing import Weighing
from consentflow.storage import holdings, officers, registrations, source_requests
from consentflow.storage.personal import HOLDINGS, SIGN_INS, Goes
from consentflow.storage.pool import Connection, Database


@dataclass(frozen=True, slots=True)
class Erasure:
    """What an erasure did. Every kind is named, whether or not anything was held: an unknown person looks the same.

    Args:
        erased_at: UTC.
        removed: Rows that held personal data, by kind.
        ended: What was open and is no more: registrations, requests, and mails that will not leave.
        kept: What this act does not remove.
    """

    subject: Subject
    erased_at: datetime
    removed: Mapping[str, int]
    ended: Mapping[str, int]
    kept: Mapping[str, int]


class Erasures:
    """The operation of erasing.

    Args:
        secret: The service's secret; subjects are keyed with it.
    """

    def __init__(self, database: Database, clock: Clock, policy: Policy, secret: str) -> None:
        self._database = database
        self._clock = clock
        self._policy = policy
        self._subject_key = derive_key(secret, "subject")

    async def erase(self, who: str, actor: Actor) -> Erasure:
        """Erases a person; doing so again finds nothing more to erase and is noted again.

        Args:
            who: An address in any of its mailbox's spellings, or a pseudonym.
            actor: On whose word.

        Raises:
            InvalidInput: Neither a pseudonym nor an address.
            StorageUnavailable: Nothing was erased.
        """
        subject, _ = read_person(who, self._subject_key)
        now = self._clock.now()
        async with self._database.transaction() as connection:
            # These two before the subject's lock, in the order in which those who send such mails take them.
            removed = {SIGN_INS.name: await self._erase_sign_ins(connection, subject)}
            unsent = await holdings.hold_posted_mails(connection, subject)
            weighing = await Weighing.of(connection, self._policy, subject, now)
            requests = await _end_requests(connection, subject, now)
            for holding in HOLDINGS:
                if holding.goes is not Goes.STAYS:
                    removed[holding.name] = await holdings.erase(connection, holding, subject)
            ended = {
                "registrations": await _end_registrations(weighing),
                "source_requests": requests,
                "mails": unsent,
            }
            kept = {
                "officer": int(await officers.find(connection, subject) is not None),
                "letter_naming_the_source": await holdings.unsent_letters_naming(connection, subject),
            }
            noted = {name: rows for name, rows in removed.items() if rows}
            await note_act(connection, now, actor, Act.ERASED, subject=subject, event=Act.ERASED.value, **noted)
        return Erasure(subject, now, removed, ended, kept)

    async def _erase_sign_ins(self, connection: Connection, subject: Subject) -> int:
        typed = await holdings.typed_addresses(connection)
        theirs = [sign_in for sign_in, email in typed if subject_of(read_mailbox(email), self._subject_key) == subject]
        return await holdings.erase(connection, SIGN_INS, theirs)


async def _end_registrations(weighing: Weighing) -> int:
    """Whatever waits for something ends suppressed, and so does what rests on a consent to keep the data."""
    waiting = (await registrations.find_open(weighing.connection, [weighing.subject]))[weighing.subject]
    confirmed = await registrations.find_in_state(weighing.connection, weighing.subject, State.CONFIRMED)
    if Fact.ERASED not in weighing.facts:
        await weighing.record(Fact.ERASED, weighing.at)
    await weighing.reconsider()
    await forget_if_suppressed(weighing)
    return len(waiting) + len(confirmed)


async def _end_requests(connection: Connection, subject: Subject, now: datetime) -> int:
    """Requests of the person that nobody has answered yet: there is no address left to answer to."""
    waiting = await source_requests.find_open(connection, subject)
    for request in waiting:
        await keep(connection, abandoned(request, now))
        await note(connection, now, "source_request_abandoned", request, because=Fact.ERASED.value)
    return len(waiting)
