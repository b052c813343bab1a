"""Who asked to be let in, until it is answered."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from consentflow.domain.addresses import Subject
from consentflow.domain.letters import Language
from consentflow.domain.sign_in import Door, SignInKind
from consentflow.storage.pool import Connection


@dataclass(frozen=True, slots=True)
class SignIn:
    """Somebody asked for a link.

    Args:
        email: As typed; nobody has proven it yet.
        language: Of the page it was typed on.
    """

    door: Door
    email: str
    language: Language
    asked_at: datetime


async def keep(connection: Connection, sign_in_id: UUID, asked: SignIn) -> None:
    """Keeps what was asked, whoever asked."""
    await connection.execute(
        "INSERT INTO sign_ins (sign_in_id, door, email, language, asked_at) VALUES ($1, $2, $3, $4, $5)",
        sign_in_id,
        asked.door,
        asked.email,
        asked.language,
        asked.asked_at,
    )


async def find_all(connection: Connection) -> list[UUID]:
    """Everything that was asked and is not answered."""
    return [row["sign_in_id"] for row in await connection.fetch("SELECT sign_in_id FROM sign_ins")]


async def take(connection: Connection, sign_in_id: UUID) -> SignIn | None:
    """What was asked, for the one transaction that answers it: the row goes with it."""
    row = await connection.fetchrow(
        "DELETE FROM sign_ins WHERE sign_in_id = $1 RETURNING door, email, language, asked_at", sign_in_id
    )
    if row is None:
        return None
    return SignIn(Door(row["door"]), row["email"], Language(row["language"]), row["asked_at"])


async def count_answers(connection: Connection, subject: Subject, since: datetime) -> int:
    """How many links were mailed to a person after an instant, for any door."""
    count: int = await connection.fetchval(
        "SELECT count(*) FROM mails WHERE subject = $1 AND purpose = $2 AND frozen_at > $3",
        subject,
        SignInKind.SIGN_IN,
        since,
    )
    return count
