"""Handing out everything that is held about a person, in every role (GDPR Art. 15). Each export is itself noted."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from consentflow.domain.access import KINDS, LABELS, Held, Paragraph, Section, information
from consentflow.domain.acts import Act, Actor
from consentflow.domain.addresses import Subject, read_mailbox, read_person, subject_of
from consentflow.domain.clock import Clock
from consentflow.domain.consent_records import Json
from consentflow.domain.letters import Controller
from consentflow.domain.secrets import derive_key
from consentflow.operations.audit import note_act
from consentflow.storage import access, chains, facts, holdings
from consentflow.storage.personal import HOLDINGS, SIGN_INS
from consentflow.storage.pool import Connection, Database, lock_subject

ReadText = Callable[[bytes], str]
"""The text that a mail's bytes say, with no link in it that could be followed."""


@dataclass(frozen=True, slots=True)
class AccessExport:
    """Everything held about one person.

    Args:
        address: The address it was asked for by; None when it was asked for by pseudonym.
        sections: The kinds of which something is held.
        exported_at: UTC.
    """

    subject: Subject
    address: str | None
    controller: Controller
    sections: Sequence[Section]
    information: Sequence[Paragraph]
    exported_at: datetime

    def document(self) -> Json:
        """As JSON, with the labels that people read."""
        used = {field for section in self.sections for held in section.held for field in held}
        return {
            "subject": self.subject,
            "address": self.address,
            "exported_at": self.exported_at.isoformat(),
            "controller": {
                "name": self.controller.name,
                "address": self.controller.address,
                "email": self.controller.email,
                "data_protection_officer": self.controller.dpo_email,
            },
            "anything_held": bool(self.sections),
            "sections": [
                {
                    "name": section.name,
                    "title": section.kind.title,
                    "why": section.kind.why,
                    "held": [{field: _plain(value) for field, value in held.items()} for held in section.held],
                }
                for section in self.sections
            ],
            "information": [{"title": each.title, "text": each.text} for each in self.information],
            "labels": {field: LABELS[field] for field in sorted(used)},
        }


class AccessExports:
    """The operation of handing out.

    Args:
        secret: The service's secret; subjects are keyed with it.
        read_text: Reads the text out of a mail's bytes.
    """

    def __init__(
        self, database: Database, clock: Clock, secret: str, controller: Controller, read_text: ReadText
    ) -> None:
        self._database = database
        self._clock = clock
        self._subject_key = derive_key(secret, "subject")
        self._controller = controller
        self._read_text = read_text

    async def export(self, who: str, actor: Actor) -> AccessExport:
        """Everything held about a person; nothing held is an answer, too.

        Args:
            who: An address in any of its mailbox's spellings, or a pseudonym.
            actor: On whose word.

        Raises:
            InvalidInput: Neither a pseudonym nor an address.
        """
        subject, mailbox = read_person(who, self._subject_key)
        now = self._clock.now()
        async with self._database.transaction() as connection:
            await lock_subject(connection, subject)
            found = await self._read(connection, subject)
            await note_act(connection, now, actor, Act.EXPORTED, subject=subject)
        return AccessExport(
            subject=subject,
            address=mailbox.address if mailbox else None,
            controller=self._controller,
            sections=[Section(name, found[name]) for name in KINDS if found.get(name)],
            information=information(self._controller),
            exported_at=now,
        )

    async def _read(self, connection: Connection, subject: Subject) -> Mapping[str, Sequence[Held]]:
        typed = await holdings.typed_addresses(connection)
        theirs = [sign_in for sign_in, email in typed if subject_of(read_mailbox(email), self._subject_key) == subject]
        found: dict[str, Sequence[Held]] = {
            holding.name: [dict(row) for row in await holdings.read(connection, holding, subject)]
            for holding in HOLDINGS
            if holding.order
        }
        found["mail"] = [self._mail(held) for held in found["mail"]]
        found[SIGN_INS.name] = [dict(row) for row in await holdings.read(connection, SIGN_INS, theirs)]
        found["registration"] = [dict(row) for row in await access.registrations_of(connection, subject)]
        found["registration_made"] = [dict(row) for row in await access.registrations_by(connection, subject)]
        found["company_followed"] = [dict(row) for row in await access.companies_followed(connection, subject)]
        found["fact"] = [
            {"fact": each.fact.value, "occurred_at": each.occurred_at, "recorded_at": each.recorded_at}
            for each in await facts.history(connection, subject)
        ]
        found["ledger"] = [
            {
                "at": entry.at,
                "event": entry.event,
                "registration_id": entry.registration_id,
                "detail": {name: value for name, value in json.loads(entry.detail).items() if name != "actor"},
            }
            for entry in await chains.of_subject(connection, subject)
        ]
        return found

    def _mail(self, held: Held) -> Held:
        content = held["content"]
        shown = {field: value for field, value in held.items() if field not in {"content", "envelope_to"}}
        return {
            "address": held["envelope_to"],
            **shown,
            "text": self._read_text(content) if isinstance(content, bytes) else None,
        }


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value
