"""How many bytes a row needs in our Postgres, fresh and after the sweep."""

import asyncio
import contextlib
import email.policy
import io
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from itertools import count
from pathlib import Path

import asyncpg

from benchmarks.servers import World, database
from consentflow.dev.clock import SteppedClock
from consentflow.domain.addresses import read_mailbox, subject_of
from consentflow.domain.events import CloudEvent
from consentflow.domain.intake import RegistrationIn
from consentflow.domain.letters import LetterKind
from consentflow.domain.partners import Choice
from consentflow.domain.registrations import Course
from consentflow.domain.secrets import derive_key
from consentflow.runtime import Parts
from tests.workflow.service import Mail, make_parts

LINES = 4
"""As many things at once."""

LATER = timedelta(days=450)
"""Fifteen months: whatever the rules of retention let go within a year or so has gone by then."""

AT_ONCE = 500
_PARSER = BytesParser(EmailMessage, policy=email.policy.default)
_ids = count()


@dataclass(frozen=True, slots=True)
class TableBytes:
    """One table of our database with its indexes and what lies outside the row (TOAST).

    Args:
        rows: How many were weighed.
        bytes: What they need, packed.
        grown: What they needed as they came, before they were packed: an upper bound, as everything came at once.
        kept: What is left of ``bytes`` after fifteen months, once the sweep has passed.
    """

    rows: int
    bytes: int
    grown: int
    kept: int

    @property
    def row_bytes(self) -> float:
        """Of one row."""
        return self.bytes / self.rows

    @property
    def kept_bytes(self) -> float:
        """Left of one row, on the average."""
        return self.kept / self.rows


def lead(country: str, registered_at: str | None = None) -> RegistrationIn:
    """A fresh contact at a company of its own."""
    number = next(_ids)
    return RegistrationIn.model_validate(
        {
            "registration_id": f"b-{number:08}",
            "partner_id": f"partner-{number % 50}",
            "registered_by": f"person{number % 200}@partner{number % 50}.example",
            "contact": {"email": f"lead{number}@company{number}.example", "given_name": "Lea", "family_name": "Muster"},
            "company": {"name": f"Company {number}", "domain": f"company{number}.example"},
            "country": country,
            "registered_at": registered_at,
        }
    )


async def set_up(parts: Parts) -> None:
    """Brings a fresh database to the current schema."""
    with contextlib.redirect_stdout(io.StringIO()):  # which migrations were applied is no figure
        await parts.database.migrate()


async def table_bytes(servers: World, number: int) -> tuple[dict[str, TableBytes], float]:
    """Of each table, by so many registrations of four kinds; and the WAL written for each registration."""
    async with database(servers.postgres_url, "weighed") as url:
        clock = SteppedClock(Path(servers.log).with_name("weighed.json"))
        parts = make_parts(url, clock, servers.temporal_address, servers.sink.port)
        async with parts.database:
            await set_up(parts)
            empty = await _sizes(url, packed=True)
            begin = await _ask(url, "SELECT pg_current_wal_lsn() - '0/0'")
            await _fill(parts, number)
            wal = await _ask(url, "SELECT pg_current_wal_lsn() - '0/0'") - begin
            await _ask(url, "TRUNCATE outbox")  # Temporal has heard
            grown, full = await _sizes(url, packed=False), await _sizes(url, packed=True)
            rows = {name: int(await _ask(url, f"SELECT count(*) FROM {name}")) for name in full}  # noqa: S608 - ours
            clock.move(LATER)
            async for _ in parts.retention.sweep():
                pass
            left = await _sizes(url, packed=True)
    weighed = {
        name: TableBytes(
            rows[name], full[name] - empty[name], grown[name] - empty[name], max(left[name] - empty[name], 0)
        )
        for name in full
        if rows[name] >= number / 2 and not name.startswith("_")  # of too few the page size is all one sees
    }
    return weighed, wal / (4 * number)


async def _fill(parts: Parts, number: int) -> None:
    long_ago = parts.clock.now() - timedelta(days=parts.policy.notice.after_days, hours=1)
    await _in_lines([lambda: _notify(parts, long_ago.isoformat()) for _ in range(number)])
    await _in_lines([lambda: _confirm(parts) for _ in range(number)])
    await _in_lines([lambda: _satisfy(parts) for _ in range(number)])
    await _in_lines([lambda: _visit(parts) for _ in range(number)])


async def _in_lines(things: Sequence[Callable[[], Awaitable[None]]]) -> None:
    left = iter(things)

    async def line() -> None:
        for thing in left:
            await thing()

    await asyncio.gather(*(line() for _ in range(LINES)))


async def _register(parts: Parts, country: str, registered_at: str | None = None) -> RegistrationIn:
    given = lead(country, registered_at)
    await parts.registrations.register(given)
    return given


async def _notify(parts: Parts, registered_at: str) -> None:
    given = await _register(parts, "FR", registered_at)
    await _send(parts, given, LetterKind.NOTICE)


async def _confirm(parts: Parts) -> None:
    given = await _register(parts, "DE")
    content = await _send(parts, given, LetterKind.DOUBLE_OPT_IN)
    await parts.consent.confirm(Mail(_PARSER.parsebytes(content)).token("confirm"))


async def _send(parts: Parts, given: RegistrationIn, kind: LetterKind) -> bytes:
    due = await parts.sending.begin(given.registration_id, kind)
    assert not isinstance(due, Course)  # noqa: S101 - it is due
    assert due.mail  # noqa: S101 - it has not been sent
    await parts.sending.accepted(due.mail_id, "250 2.0.0 fine")
    return due.mail.content


async def _satisfy(parts: Parts) -> None:
    given = await _register(parts, "FR")
    await _tell(parts, "contact.form_submitted", {"email": given.contact.email})


async def _visit(parts: Parts) -> None:
    """A registration without mail, a subscriber, and something the company does that is worth telling."""
    given = await _register(parts, "US")
    assert given.registered_by  # noqa: S101 - see above
    key = derive_key(parts.settings.secret_key.get_secret_value(), "subject")
    subject = subject_of(read_mailbox(given.registered_by), key)
    await parts.subscribers.join(given.partner_id, subject, given.registered_by, Choice())
    assert given.company  # noqa: S101
    await _tell(parts, "company.demo_requested", {"domain": given.company.domain})


async def _tell(parts: Parts, kind: str, data: Mapping[str, object]) -> None:
    event = {"specversion": "1.0", "id": f"e-{next(_ids)}", "source": "/site", "type": kind, "data": data}
    await parts.events.record([CloudEvent.model_validate(event)])


async def _ask(url: str, query: str) -> float:
    connection = await asyncpg.connect(url)
    try:
        return float(await connection.fetchval(query) or 0)
    finally:
        await connection.close()


async def _sizes(url: str, *, packed: bool) -> dict[str, int]:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("VACUUM (FULL, ANALYZE)" if packed else "VACUUM ANALYZE")
        found = await connection.fetch(
            "SELECT relname, pg_total_relation_size(oid) AS bytes FROM pg_class"
            " WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY relname"
        )
        return {row["relname"]: row["bytes"] for row in found}
    finally:
        await connection.close()
