"""Seeing what Postgres does for a statement: its plans for the given values and for any, and what they read."""

import ast
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from consentflow.storage import pool
from consentflow.storage.pool import Connection

SMALL = {
    "api_keys": "one for each program that calls us",
    "checkpoints": "one a day",
    "mail_fault": "one row at the most",
    "officers": "the people of one office",
    "outbox": "a message goes as soon as Temporal has taken it",
    "partners": "thousands, and no more with time",
    "sign_ins": "one goes as soon as it is answered",
    "verifications": "one a look at the whole ledger",
}
"""Tables that do not grow with registrations, and may be read from end to end."""

FOLDER = Path(pool.__file__).parent
_ASKING = {"execute", "executemany", "fetch", "fetchrow", "fetchval", "cursor"}


@dataclass
class Seen:
    """What the statements of one call were seen to do.

    Args:
        scanned: Tables that grow and are read from end to end, each with the plan that does.
        repeated: Those of them that are read so again and again.
        looked_at: The most rows of such tables that any step of any plan has looked at.
        busiest: The plan of that step.
        places: File and line of each statement.
    """

    scanned: dict[str, str] = field(default_factory=dict)
    repeated: dict[str, str] = field(default_factory=dict)
    looked_at: int = 0
    busiest: str = ""
    places: set[tuple[str, int]] = field(default_factory=set)


class Explaining:
    """A connection that has every statement explained, planned for its values and for any, before it runs it.

    Args:
        measuring: Whether what a plan really reads is measured, which takes as long as running it.
    """

    def __init__(self, connection: Connection, *, measuring: bool = True) -> None:
        self._connection = connection
        self._options = "ANALYZE, BUFFERS, FORMAT JSON" if measuring else "FORMAT JSON"
        self.seen = Seen()

    def fetch(self, query: str, *values: object) -> Awaitable[Any]:
        return self._asked(_place(sys._getframe(1)), "fetch", query, values)  # noqa: SLF001 - who asks

    def fetchrow(self, query: str, *values: object, timeout: float | None = None) -> Awaitable[Any]:
        return self._asked(_place(sys._getframe(1)), "fetchrow", query, values, timeout)  # noqa: SLF001

    def fetchval(self, query: str, *values: object) -> Awaitable[Any]:
        return self._asked(_place(sys._getframe(1)), "fetchval", query, values)  # noqa: SLF001

    def execute(self, query: str, *values: object) -> Awaitable[Any]:
        return self._asked(_place(sys._getframe(1)), "execute", query, values)  # noqa: SLF001

    def executemany(self, query: str, many: Iterable[Sequence[object]]) -> Awaitable[None]:
        return self._asked_often(_place(sys._getframe(1)), query, many)  # noqa: SLF001

    def cursor(self, query: str, *values: object, prefetch: int, timeout: float | None = None) -> AsyncIterator[Any]:
        return self._rows(_place(sys._getframe(1)), query, values, prefetch, timeout)  # noqa: SLF001

    async def _asked_often(self, by: tuple[str, int], query: str, many: Iterable[Sequence[object]]) -> None:
        for values in many:
            await self._asked(by, "execute", query, values)

    async def _rows(
        self, by: tuple[str, int], query: str, values: Sequence[object], prefetch: int, seconds: float | None
    ) -> AsyncIterator[Any]:
        self.seen.places.add(by)
        await self._explain(query, values)
        async for row in self._connection.cursor(query, *values, prefetch=prefetch, timeout=seconds):
            yield row

    async def _asked(
        self, by: tuple[str, int], method: str, query: str, values: Sequence[object], seconds: float | None = None
    ) -> Any:  # noqa: ANN401 - as asyncpg's
        self.seen.places.add(by)
        if not query.startswith("SET LOCAL"):
            await self._explain(query, values)
        return await getattr(self._connection, method)(query, *values, timeout=seconds)

    async def _explain(self, query: str, values: Sequence[object]) -> None:
        statement = await self._connection.prepare(query)
        types = [f"{each.schema}.{each.name}" for each in statement.get_parameters()]
        spelt = ", ".join(f"quote_nullable(${n}::{_named(each)}::text)" for n, each in enumerate(types, start=1))
        literals = await self._connection.fetchrow(f"SELECT {spelt}", *values) if values else None
        given = f"({', '.join(literals)})" if literals else ""
        await self._connection.execute(f"PREPARE explained AS {query}")
        for mode in ("force_custom_plan", "force_generic_plan"):
            undone = self._connection.transaction()
            await undone.start()
            await self._connection.execute(f"SET LOCAL plan_cache_mode = {mode}")
            text = await self._connection.fetchval(f"EXPLAIN ({self._options}) EXECUTE explained{given}")
            await undone.rollback()
            plan = json.loads(text)[0]["Plan"]
            self._walk(plan, "\n".join([mode, query, *_told(plan)]))
        await self._connection.execute("DEALLOCATE explained")

    def _walk(self, step: dict[str, Any], told: str, *, again: bool = False) -> None:
        table = step.get("Relation Name")
        if table not in SMALL:
            if step["Node Type"] == "Seq Scan":
                self.seen.scanned[table or ""] = told
                if again:
                    self.seen.repeated[table or ""] = told
            if (looked_at := _looked_at(step)) > self.seen.looked_at:
                self.seen.looked_at, self.seen.busiest = looked_at, told
        for each in step.get("Plans", []):
            inner = step["Node Type"] == "Nested Loop" and each["Parent Relationship"] == "Inner"
            # One that is hashed is run once; the condition that it serves says so.
            one_by_one = each["Parent Relationship"] == "SubPlan" and "hashed" not in str(step)
            self._walk(each, told, again=again or inner or one_by_one)


def _looked_at(step: dict[str, Any]) -> int:
    removed = (value for name, value in step.items() if name.startswith("Rows Removed by"))
    rows: float = sum(removed, step.get("Actual Rows", 0)) * step.get("Actual Loops", 1)
    return round(rows)


def _told(step: dict[str, Any], depth: int = 0) -> Iterator[str]:
    """A plan in short, for whoever reads why a test failed."""
    names = [step[name] for name in ("Node Type", "Relation Name", "Index Name") if name in step]
    yield f"{'  ' * depth}{' · '.join(names)}: {_looked_at(step)} rows"
    for each in step.get("Plans", []):
        yield from _told(each, depth + 1)


def _place(frame: FrameType) -> tuple[str, int]:
    return Path(frame.f_code.co_filename).name, frame.f_lineno


def _named(kind: str) -> str:
    """A type as a statement names it; asyncpg calls arrays ``text[]``."""
    schema, _, name = kind.partition(".")
    return f'{schema}."{name.removesuffix("[]")}"{"[]" if name.endswith("[]") else ""}'


@dataclass(frozen=True, slots=True)
class Place:
    """Where storage asks Postgres something."""

    file: str
    first: int
    last: int


def places() -> list[Place]:
    """Every place in storage where a statement is handed to a transaction's connection."""
    found = []
    for file in sorted(FOLDER.glob("*.py")):
        for function in ast.parse(file.read_text()).body:
            if not isinstance(function, ast.AsyncFunctionDef):
                continue  # the pool's own, which no transaction sees
            for node in ast.walk(function):
                match node:
                    case ast.Call(func=ast.Attribute(value=ast.Name(id="connection"), attr=attr)) if attr in _ASKING:
                        found.append(Place(file.name, node.lineno, node.end_lineno or node.lineno))
    return found
