"""Every column of the schema is declared as personal, pseudonymous or neither: no table is forgotten."""

from consentflow.domain.access import KINDS, LABELS
from consentflow.runtime import Parts
from consentflow.storage.personal import HOLDINGS, NOT_PERSONAL, PSEUDONYMOUS, SIGN_INS, Goes

ALL = (*HOLDINGS, SIGN_INS)
PERSONAL = {(holding.table, column) for holding in ALL for column in holding.columns}
OTHERS = [
    (table, column)
    for declared in (PSEUDONYMOUS, NOT_PERSONAL)
    for table, columns in declared.items()
    for column in columns
]

NOT_TOLD = {("source_requests", "balancing")}
"""What weighs the interests of others: erased with the person, not told."""

SHOWN_WITH_THE_REGISTRATION = {("registrations", "company_name"), ("registrations", "country_received")}


async def columns(parts: Parts, *types: str) -> set[tuple[str, str]]:
    async with parts.database.transaction() as connection:
        rows = await connection.fetch(
            """
            SELECT table_name, column_name FROM information_schema.columns
            WHERE table_schema = 'public' AND table_name NOT LIKE '%pogo%'
                AND (cardinality($1::text[]) = 0 OR data_type = ANY ($1))
            """,
            list(types),
        )
    return {(row["table_name"], row["column_name"]) for row in rows}


async def test_every_column_that_can_hold_words_is_declared_personal_or_not(parts: Parts) -> None:
    wordy = await columns(
        parts, "text", "bytea", "jsonb", "json", "ARRAY", "character varying", "character", "USER-DEFINED"
    )
    assert sorted(wordy - PERSONAL - set(OTHERS)) == [], "declare these in consentflow/storage/personal.py"


async def test_what_is_declared_exists_and_is_declared_once(parts: Parts) -> None:
    there = await columns(parts)
    assert sorted((PERSONAL | set(OTHERS)) - there) == []
    assert len(OTHERS) == len(set(OTHERS))
    assert sorted(PERSONAL & set(OTHERS)) == []
    shown = {(holding.table, column) for holding in ALL for column in holding.shown}
    assert sorted(shown - there) == []


async def test_no_column_is_of_a_type_that_the_declaration_overlooks(parts: Parts) -> None:
    numbers_and_instants = await columns(
        parts, "uuid", "bigint", "integer", "smallint", "numeric", "boolean", "date", "timestamp with time zone"
    )
    wordy = await columns(parts, "text", "bytea", "jsonb", "ARRAY")
    assert await columns(parts) == numbers_and_instants | wordy


def test_whatever_is_personal_is_told_to_whoever_asks_what_is_held() -> None:
    told = {(holding.table, column) for holding in ALL if holding.order for column in holding.told}
    assert sorted(PERSONAL - told - SHOWN_WITH_THE_REGISTRATION - NOT_TOLD) == []
    for holding in ALL:
        if holding.order:
            assert holding.name in KINDS
            assert set(holding.told) - set(LABELS) <= {"envelope_to", "content"}  # told as text


def test_only_an_officers_own_data_outlasts_an_erasure() -> None:
    assert [holding.table for holding in ALL if holding.goes is Goes.STAYS] == ["officers"]
