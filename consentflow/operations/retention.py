"""The daily sweep: applies the rules on how long what is kept, in small transactions, each noted in the ledger."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from consentflow.domain.acts import SERVICE, Act, Actor
from consentflow.domain.clock import Clock
from consentflow.domain.retention import BATCH, LOOK_AGAIN, RULES, Rule
from consentflow.operations.audit import note_act
from consentflow.storage import contacts, ledger, retention
from consentflow.storage.pool import Connection, Database
from consentflow.storage.retention import Outlook

CONTACTS: Final = "contacts"
"""The rule that asks more than how old something is."""

CONTACTS_AT_ONCE: Final = 200
"""Each is locked for the length of the transaction."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the sweep would let go by a rule."""

    rule: Rule
    outlook: Outlook


@dataclass(frozen=True, slots=True)
class Swept:
    """What one transaction let go by a rule."""

    rule: Rule
    rows: int


class Retention:
    """The operation of the sweep.

    Args:
        batch: Rows that one transaction looks at, at the most.
        rules: In the order in which they are applied.
    """

    def __init__(self, database: Database, clock: Clock, batch: int = BATCH, rules: Sequence[Rule] = RULES) -> None:
        self._database = database
        self._clock = clock
        self._batch = batch
        self._rules = rules

    async def forecast(self) -> Sequence[Forecast]:
        """What would go now, by rule; changes nothing."""
        now, found = self._clock.now(), []
        async with self._database.transaction() as connection:
            for rule in self._rules:
                cutoff = rule.cutoff(now)
                if rule.name == CONTACTS:
                    outlook = await retention.contacts_outlook(connection, cutoff, cutoff + LOOK_AGAIN)
                else:
                    outlook = await retention.outlook(connection, rule.name, cutoff)
                found.append(Forecast(rule, outlook))
        return found

    async def sweep(self, actor: Actor = SERVICE) -> AsyncIterator[Swept]:
        """Lets go what has been kept long enough, batch after batch; may be broken off and begun again at any time.

        Raises:
            StorageUnavailable: The batch at hand did not happen; those before did.
        """
        now = self._clock.now()
        for rule in self._rules:
            most = min(CONTACTS_AT_ONCE, self._batch) if rule.name == CONTACTS else self._batch
            looked_at = most
            while looked_at == most:
                async with self._database.transaction() as connection:
                    if rule.name == CONTACTS:
                        looked_at, rows = await _sweep_contacts(connection, rule, now, most)
                    else:
                        looked_at = rows = await retention.sweep(connection, rule.name, rule.cutoff(now), most)
                    if rows:
                        await note_act(connection, now, actor, Act.SWEPT, subject=None, rule=rule.name, rows=rows)
                yield Swept(rule, rows)


async def _sweep_contacts(connection: Connection, rule: Rule, now: datetime, most: int) -> tuple[int, int]:
    """How many contacts were looked at, and how many of them went; the others are looked at again in time."""
    cutoff = rule.cutoff(now)
    held = await retention.contacts_to_look_at(connection, cutoff, most)
    needed_at = await retention.needed_at(connection, held, cutoff + LOOK_AGAIN)
    needed = {subject: at for subject, at in needed_at.items() if at is not None and at >= cutoff}
    await retention.put_off(connection, needed)
    gone = [subject for subject in held if subject not in needed]
    for subject in gone:
        await contacts.erase(connection, subject)
        await ledger.append(connection, now, "contact_erased", {"because": "not_needed"}, subject=subject)
    return len(held), len(gone)
