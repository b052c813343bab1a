"""The list of acts: the ledger's entries that name an actor, newest first, whatever the ledger holds besides."""

from dataclasses import dataclass
from datetime import datetime

import asyncpg

from consentflow.domain.acts import Act, Actor, RecordedAct
from consentflow.domain.addresses import Subject
from consentflow.domain.paging import Mark
from consentflow.storage.pool import Connection


@dataclass(frozen=True, slots=True)
class Filters:
    """Which acts are wanted; None for any.

    Args:
        since: At or after this instant, UTC.
        before: Before this instant, UTC.
    """

    actor: Actor | None = None
    act: Act | None = None
    subject: Subject | None = None
    since: datetime | None = None
    before: datetime | None = None


def query(filters: Filters, after: Mark | None, most: int) -> tuple[str, list[object]]:
    """The statement that finds a page, and its arguments. For each filter there is an index in this very order."""
    arguments: list[object] = [most]
    conditions = ["detail ? 'actor'"]
    for condition, value in (
        ("detail ->> 'actor' = {}", filters.actor),
        ("detail ->> 'act' = {}", filters.act),
        ("subject = {}", filters.subject),
        ("at >= {}", filters.since),
        ("at < {}", filters.before),
    ):
        if value is not None:
            arguments.append(value)
            conditions.append(condition.format(f"${len(arguments)}"))
    if after is not None:
        arguments += [after.at, int(after.key)]
        conditions.append(f"(at, entry_id) < (${len(arguments) - 1}, ${len(arguments)})")
    text = (
        "SELECT entry_id, at, subject, event, detail FROM ledger "  # noqa: S608 - our own conditions
        f"WHERE {' AND '.join(conditions)} ORDER BY at DESC, entry_id DESC LIMIT $1"
    )
    return text, arguments


async def acts(connection: Connection, filters: Filters, after: Mark | None, most: int) -> list[RecordedAct]:
    """A page of acts, newest first."""
    text, arguments = query(filters, after, most)
    return [_read(row) for row in await connection.fetch(text, *arguments)]


def _read(row: asyncpg.Record) -> RecordedAct:
    detail = dict(row["detail"])
    actor, act = Actor(detail.pop("actor")), Act(detail.pop("act"))
    return RecordedAct(row["entry_id"], row["at"], actor, act, row["subject"], row["event"], detail)
