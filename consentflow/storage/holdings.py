"""Personal data as it is declared: erased and read kind by kind."""

from uuid import UUID

import asyncpg

from consentflow.domain.addresses import Subject
from consentflow.storage.personal import REGISTERED_BY, Goes, Holding
from consentflow.storage.pool import Connection


async def erase(connection: Connection, holding: Holding, subject: Subject | list[UUID]) -> int:
    """Lets a person's data of one kind go; returns how many rows held some."""
    if holding.goes is Goes.ROW:
        statement = f"DELETE FROM {holding.table} WHERE {holding.belongs}"  # noqa: S608 - declared in storage/personal.py
    else:
        emptied = ", ".join(f"{column} = NULL" for column in holding.columns)
        filled = " OR ".join(f"{column} IS NOT NULL" for column in holding.columns)
        statement = f"UPDATE {holding.table} SET {emptied} WHERE {holding.belongs} AND ({filled})"  # noqa: S608
    done: str = await connection.execute(statement, subject)
    return int(done.rpartition(" ")[2])


async def read(connection: Connection, holding: Holding, subject: Subject | list[UUID]) -> list[asyncpg.Record]:
    """What is held of one kind, as an export tells it; the oldest first."""
    columns = ", ".join(holding.told)
    return await connection.fetch(
        f"SELECT {columns} FROM {holding.table} WHERE {holding.belongs} ORDER BY {holding.order}",  # noqa: S608
        subject,
    )


async def typed_addresses(connection: Connection) -> list[tuple[UUID, str]]:
    """Who asked to be let in and has not been answered yet: few, and never for long."""
    rows = await connection.fetch("SELECT sign_in_id, email FROM sign_ins")
    return [(row["sign_in_id"], row["email"]) for row in rows]


async def hold_posted_mails(connection: Connection, subject: Subject) -> int:
    """Holds the mails to the person that no registration sends; returns how many of them have not left yet.

    Taken before the subject's lock, in the order that sending them takes the two: neither waits for the other in vain.
    """
    rows = await connection.fetch(
        """
        SELECT state FROM mails WHERE subject = $1 AND registration_id IS NULL AND content IS NOT NULL
        ORDER BY mail_id FOR UPDATE
        """,
        subject,
    )
    return sum(row["state"] in {"frozen", "attempting"} for row in rows)


async def unsent_letters_naming(connection: Connection, subject: Subject) -> int:
    """How many letters that tell a source, and may name the person as it, have not left yet."""
    unsent: int = await connection.fetchval(
        f"""
        SELECT count(*) FROM mails
        WHERE purpose = 'source_decision' AND state IN ('frozen', 'attempting') AND {REGISTERED_BY}
        """,  # noqa: S608 - declared in storage/personal.py
        subject,
    )
    return unsent
