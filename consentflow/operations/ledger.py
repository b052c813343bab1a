"""The ledger as evidence: sealing it every day, checking all of it, handing out what it says of one person."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from consentflow.domain.addresses import Subject, read_mailbox, subject_of
from consentflow.domain.audit import Audit, Findings, Wrong, chain_of, check_entry, covering
from consentflow.domain.clock import Clock
from consentflow.domain.consent_records import ConsentRecord, Json, consent_records
from consentflow.domain.errors import NotFound
from consentflow.domain.evidence import BEGINNING, ChainedEntry, Checkpoint, Seal, Signer, checkpoint_tree
from consentflow.domain.letters import Controller
from consentflow.domain.receipts import as_receipt
from consentflow.domain.secrets import derive_key
from consentflow.storage import chains, checkpoints, verifications
from consentflow.storage.pool import Database
from consentflow.storage.verifications import Verification

CHECKPOINTS_SHOWN = 31
"""Checkpoints that `Ledger.state` tells."""

SIGN_OF_LIFE_EVERY = 10_000
"""Entries that are looked at between two signs of life."""

_PSEUDONYM = re.compile(r"s-[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Export:
    """Everything the ledger says of one person.

    Args:
        address: The address it was asked for by; None when it was asked for by pseudonym. The ledger has none.
        entries: The person's whole chain.
        covered_by: By entry number, the day of the checkpoint that covers it; None when none does yet.
        wrong: By entry number, what is wrong with it. Empty when the chain is intact.
        exported_at: UTC.
    """

    subject: Subject
    address: str | None
    controller: Controller
    entries: Sequence[ChainedEntry]
    covered_by: Mapping[int, date | None]
    wrong: Mapping[int, Wrong]
    records: Sequence[ConsentRecord]
    exported_at: datetime

    def receipts(self) -> list[Json]:
        """The consent receipts, as JSON-LD."""
        return [as_receipt(record, self.subject, self.controller, self.exported_at) for record in self.records]

    def document(self) -> Json:
        """Receipts and raw entries as JSON. An entry's hash is over ``detail_text``, not over the parsed detail."""
        return {
            "subject": self.subject,
            "exported_at": self.exported_at.isoformat(),
            "intact": not self.wrong,
            "receipts": self.receipts(),
            "entries": [
                {
                    "entry_id": entry.entry_id,
                    "at": entry.at.isoformat(),
                    "registration_id": entry.registration_id,
                    "event": entry.event,
                    "detail": json.loads(entry.detail),
                    "detail_text": entry.detail,
                    "previous_hash": entry.previous_hash.hex(),
                    "entry_hash": entry.entry_hash.hex(),
                    "checkpoint": day.isoformat() if (day := self.covered_by[entry.entry_id]) else None,
                    "wrong": self.wrong.get(entry.entry_id),
                }
                for entry in self.entries
            ],
        }


@dataclass(frozen=True, slots=True)
class LedgerState:
    """What is known of the ledger without going through it.

    Args:
        verification: What the last look at all of it found; None when nobody has looked.
        checkpoints: The latest, newest first.
    """

    verification: Verification | None
    checkpoints: Sequence[Seal]


class Ledger:
    """The operations on the ledger as evidence.

    Args:
        secret: The service's secret; pseudonyms and the key that signs checkpoints are derived from it.
    """

    def __init__(self, database: Database, clock: Clock, secret: str, controller: Controller) -> None:
        self._database = database
        self._clock = clock
        self._controller = controller
        self._subject_key = derive_key(secret, "subject")
        self._signer = Signer(derive_key(secret, "ledger"))

    @property
    def public_key(self) -> bytes:
        """The raw Ed25519 key that an auditor checks checkpoints with."""
        return self._signer.public_key

    async def checkpoint(self) -> Checkpoint:
        """Today's checkpoint (UTC): made now, or found if there is one. May be called twice, and at once.

        Raises:
            StorageUnavailable: None was made.
        """
        now = self._clock.now().astimezone(UTC)
        if found := await self._of_today(now.date()):
            return found
        async with self._database.transaction() as connection:
            cut = await chains.clean_cut(connection)  # alone in its transaction: writers wait for its end
        async with self._database.transaction() as connection:
            await checkpoints.take_turn(connection)
            latest = await checkpoints.find_latest(connection)
            if latest and latest.seal.day >= now.date():
                return latest
            made = 0 if latest is None else latest.seal.up_to_entry
            previous_root = BEGINNING if latest is None else latest.seal.root
            tree, leaves = checkpoint_tree(previous_root), 0
            async for head in chains.heads(connection, made, max(made, cut)):
                tree.add(head)
                leaves += 1
            seal = Seal(now.date(), max(made, cut), previous_root, tree.root(), leaves, now)
            checkpoint = self._signer.sign(seal)
            await checkpoints.insert(connection, checkpoint)
            return checkpoint

    async def verify(self, alive: Callable[[], None] | None = None) -> Findings:
        """Goes through the whole ledger, as it stands at one moment, and says what is wrong first; keeps what it found.

        Args:
            alive: Called now and then, since it may take long.

        Raises:
            StorageUnavailable: It could not be read to the end.
        """
        async with self._database.transaction() as connection:
            audit, taken = Audit(await checkpoints.find_all(connection), self._signer), 0
            async for link in chains.walk(connection):
                if not audit.take(link):
                    break
                taken += 1
                if alive and taken % SIGN_OF_LIFE_EVERY == 0:
                    alive()
            findings = audit.findings()
        async with self._database.transaction() as connection:
            await verifications.keep(connection, findings, self._clock.now())
        return findings

    async def state(self) -> LedgerState:
        """What the last look at the whole ledger found, and the latest checkpoints."""
        async with self._database.transaction() as connection:
            latest = await checkpoints.find_newest(connection, CHECKPOINTS_SHOWN)
            return LedgerState(await verifications.find_latest(connection), [each.seal for each in latest])

    async def export(self, who: str) -> Export:
        """What the ledger says of one person.

        Args:
            who: A pseudonym (``s-…``) or an e-mail address in any of its mailbox's spellings.

        Raises:
            InvalidInput: Neither a pseudonym nor an address.
            NotFound: The ledger says nothing of that person.
        """
        who = who.strip()
        address = None if _PSEUDONYM.fullmatch(who) else who
        subject = subject_of(read_mailbox(address), self._subject_key) if address else Subject(who)
        async with self._database.transaction() as connection:
            entries = await chains.of_subject(connection, subject)
            sealed = await checkpoints.find_all(connection)
        if not entries:
            raise NotFound("entry")
        found = {link.entry.entry_id: check_entry(link) for link in chain_of(entries)}
        return Export(
            subject=subject,
            address=address,
            controller=self._controller,
            entries=entries,
            covered_by={entry.entry_id: covering(sealed, entry.entry_id) for entry in entries},
            wrong={entry_id: wrong for entry_id, wrong in found.items() if wrong},
            records=consent_records(entries),
            exported_at=self._clock.now(),
        )

    async def _of_today(self, today: date) -> Checkpoint | None:
        async with self._database.transaction() as connection:
            latest = await checkpoints.find_latest(connection)
            return latest if latest and latest.seal.day >= today else None
