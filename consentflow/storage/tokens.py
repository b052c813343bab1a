"""Tokens of the links in mails. Only hashes are kept; a token serves one purpose."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from consentflow.domain.addresses import Subject
from consentflow.domain.letters import Language
from consentflow.storage.pool import Connection


@dataclass(frozen=True, slots=True)
class Token:
    """What a link stands for.

    Args:
        question_id: The question it answers, for ``confirm``.
        used_at: When it first did its work, UTC.
        mail_id: The mail it was in; None for links from before this was kept.
        about: What else it is about: a subscriber, a request, a door.
    """

    purpose: str
    subject: Subject
    question_id: UUID | None
    language: Language
    expires_at: datetime
    used_at: datetime | None = None
    mail_id: UUID | None = None
    about: str | None = None


async def keep(connection: Connection, token_sha256: bytes, token: Token) -> None:
    """Keeps a new token."""
    await keep_all(connection, {token_sha256: token})


async def keep_all(connection: Connection, fresh: Mapping[bytes, Token]) -> None:
    """Keeps new tokens, by their hashes."""
    tokens = fresh.values()
    await connection.execute(
        """
        INSERT INTO tokens (token_sha256, purpose, subject, question_id, language, expires_at, mail_id, about)
        SELECT * FROM unnest(
            $1::bytea[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::timestamptz[], $7::uuid[], $8::text[]
        )
        """,
        list(fresh),
        [token.purpose for token in tokens],
        [token.subject for token in tokens],
        [token.question_id for token in tokens],
        [token.language for token in tokens],
        [token.expires_at for token in tokens],
        [token.mail_id for token in tokens],
        [token.about for token in tokens],
    )


async def find(connection: Connection, token_sha256: bytes, purpose: str) -> Token | None:
    """What the link stands for, expired and used ones included; never one of another purpose."""
    row = await connection.fetchrow(
        """
        SELECT purpose, subject, question_id, language, expires_at, used_at, mail_id, about FROM tokens
        WHERE token_sha256 = $1 AND purpose = $2
        """,
        token_sha256,
        purpose,
    )
    return Token(**{**row, "language": Language(row["language"])}) if row else None


async def is_valid_about(connection: Connection, purpose: str, about: str, at: datetime) -> bool:
    """Whether a link of that purpose about that can be used at that instant."""
    valid: bool = await connection.fetchval(
        """
        SELECT EXISTS (
            SELECT FROM tokens WHERE about = $2 AND purpose = $1 AND expires_at > $3 AND used_at IS NULL
        )
        """,
        purpose,
        about,
        at,
    )
    return valid


async def use(connection: Connection, token_sha256: bytes, at: datetime) -> bool:
    """Consumes a token; True for the one use that did."""
    done: str = await connection.execute(
        "UPDATE tokens SET used_at = $2 WHERE token_sha256 = $1 AND used_at IS NULL", token_sha256, at
    )
    return done == "UPDATE 1"


async def extend(connection: Connection, question_id: UUID, expires_at: datetime) -> None:
    """Lets the links of a question live as long as the question."""
    await connection.execute("UPDATE tokens SET expires_at = $2 WHERE question_id = $1", question_id, expires_at)
