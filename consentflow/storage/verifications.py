"""What looking at the whole ledger found, kept for those who did not wait for it."""

from dataclasses import dataclass
from datetime import date, datetime

import asyncpg

from consentflow.domain.audit import Findings, Flaw, Wrong
from consentflow.storage.pool import Connection


@dataclass(frozen=True, slots=True)
class Verification:
    """What a look at the whole ledger found.

    Args:
        verified_at: UTC.
        uncovered: How many entries no checkpoint covered then.
        flaws: As in `Findings`.
    """

    verified_at: datetime
    entries: int
    chains: int
    checkpoints: int
    uncovered: int
    flaws: tuple[Flaw, ...]


def _read(row: asyncpg.Record) -> Verification:
    flaws = tuple(
        Flaw(
            Wrong(flaw["wrong"]),
            flaw["entry_id"],
            flaw["through"],
            date.fromisoformat(flaw["checkpoint"]) if flaw["checkpoint"] else None,
        )
        for flaw in row["flaws"]
    )
    return Verification(**{**row, "flaws": flaws})


async def keep(connection: Connection, findings: Findings, at: datetime) -> None:
    """Keeps what a look found; two at the same instant count as one."""
    flaws = [
        {
            "wrong": flaw.wrong.value,
            "entry_id": flaw.entry_id,
            "through": flaw.through,
            "checkpoint": flaw.checkpoint.isoformat() if flaw.checkpoint else None,
        }
        for flaw in findings.flaws
    ]
    await connection.execute(
        """
        INSERT INTO verifications (verified_at, entries, chains, checkpoints, uncovered, flaws)
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (verified_at) DO NOTHING
        """,
        at,
        findings.entries,
        findings.chains,
        findings.checkpoints,
        findings.uncovered,
        flaws,
    )


async def find_latest(connection: Connection) -> Verification | None:
    """The last look."""
    row = await connection.fetchrow(
        """
        SELECT verified_at, entries, chains, checkpoints, uncovered, flaws FROM verifications
        ORDER BY verified_at DESC LIMIT 1
        """
    )
    return _read(row) if row else None
