"""Erasing proven: a marked person in every role, through every journey, and then a search of everything for the marks.

A mark is a word such as ``zqzqgiven``. All of Postgres is searched as its own COPY writes it, with every binary column
decoded, and all that Temporal has kept, as the bytes on the wire.
"""

import asyncio
import io
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import asyncpg
from temporalio.client import WorkflowExecutionStatus

from consentflow.domain.acts import of_key
from consentflow.domain.events import CloudEvent
from consentflow.domain.intake import RegistrationIn
from consentflow.domain.letters import Language
from consentflow.domain.partners import Choice
from consentflow.domain.registrations import State
from consentflow.domain.sign_in import Door
from consentflow.domain.source_intake import SourceRequestIn
from consentflow.domain.source_requests import Channel
from tests.workflow.service import until

if TYPE_CHECKING:
    from tests.workflow.service import Mail, Service

OFFICER = of_key("officer")
LONG_AGO = datetime.now(UTC) - timedelta(days=31)
_MARK = re.compile(rb"zqzq[a-z]+")
_HEX = re.compile(rb"\\\\x((?:[0-9a-f]{2})+)")


def address(who: str) -> str:
    return f"zqzq{who}@zqzqhost{who}.example"


def marks_in(content: bytes) -> set[str]:
    unfolded = content.replace(b"=\\r\\n", b"").replace(b"=\r\n", b"").replace(b"=\n", b"")
    return {mark.decode() for mark in _MARK.findall(unfolded.lower())}


async def dump(database_url: str) -> dict[str, bytes]:
    """Every row of every table as COPY writes it, binary columns decoded beside it."""
    connection = await asyncpg.connect(database_url)
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        found = {}
        for row in tables:
            out = io.BytesIO()
            await connection.copy_from_table(row["tablename"], output=out, format="text")
            text = out.getvalue()
            binary = b"\n".join(bytes.fromhex(each.decode()) for each in _HEX.findall(text))
            found[row["tablename"]] = text + b"\n" + binary
        return found
    finally:
        await connection.close()


async def marked_tables(service: "Service") -> dict[str, set[str]]:
    """The tables that hold marks, and which."""
    dumped = await dump(service.parts.settings.database_url.get_secret_value())
    return {table: marks for table, content in dumped.items() if (marks := marks_in(content))}


async def kept_by_temporal(service: "Service") -> AsyncIterator[tuple[str, bytes]]:
    """Every workflow of this service: its id, and all that the server has of it."""
    queue = service.parts.settings.temporal.task_queue
    async for run in service.client.list_workflows(f"TaskQueue = '{queue}'"):
        handle = service.client.get_workflow_handle(run.id, run_id=run.run_id)
        parts = [(await handle.describe()).raw_description, *(await handle.fetch_history()).events]
        yield run.id, b"".join(part.SerializeToString() for part in parts)


async def still_running(service: "Service") -> set[str]:
    queue = service.parts.settings.temporal.task_queue
    listed = service.client.list_workflows(f"TaskQueue = '{queue}'")
    return {run.id async for run in listed if run.status is not WorkflowExecutionStatus.COMPLETED}


async def register(service: "Service", registration_id: str, who: str, country: str | None, **more: object) -> None:
    content = {
        "registration_id": registration_id,
        "partner_id": "p-1",
        "registered_by": address("ana"),
        "contact": {"email": address(who), "given_name": f"Zqzqgiven{who}", "family_name": f"Zqzqfamily{who}"},
        "company": {"name": f"Zqzqcompany{who}", "domain": f"{registration_id}.example"},
        "country": country,
    } | more
    await service.parts.registrations.register(RegistrationIn.model_validate(content))


async def mailed(service: "Service", who: str, purpose: str) -> "Mail":
    """The mail to somebody with a link of that purpose, as soon as it has arrived."""

    async def arrived() -> "Mail | None":
        return next((mail for mail in service.mails() if mail.to == address(who) and mail.links_to(purpose)), None)

    found = await until(f"a mail to {who} with a link to {purpose} has arrived", arrived)
    assert found is not None
    return found


async def travel(service: "Service") -> None:
    """Lea in every role; others stand at every place where a lead can stand."""
    parts = service.parts
    # As a lead, by two partners: confirmed.
    await register(service, "r-1", "lea", "DE")
    await register(service, "r-2", "lea", "DE", partner_id="p-2", registered_by=address("tom"), kind="deal")
    await service.press(await mailed(service, "lea", "confirm"))
    await service.reaches("r-2", State.CONFIRMED)
    # As a subscriber: confirmed, and with something to be told.
    await parts.subscribers.put("p-1", address("lea"), Choice())
    await parts.subscribers.confirm((await mailed(service, "lea", "subscription")).token("subscription"))
    demo = {"type": "company.demo_requested", "data": {"domain": "r-1.example", "email": address("lea")}}
    event = {"specversion": "1.0", "id": "e-1", "source": "/site"} | demo
    await parts.events.record([CloudEvent.model_validate(event)])
    # As a requester.
    given = {"email": address("lea"), "name": "Zqzqname Lea", "message": "Zqzqmessage: from where?", "language": "de"}
    request_id = await parts.source_requests.open(SourceRequestIn.model_validate(given), Channel.FORM)
    await mailed(service, "lea", "identity")
    await parts.source_identity.attest(request_id, "Zqzqnote: has called us", OFFICER)
    # As somebody who registers others, and is in.
    await register(service, "r-3", "eve", "FR", registered_by=address("lea"))
    await parts.sessions.ask(Door.PARTNER, address("lea"), Language.GERMAN)
    assert await parts.sessions.sign_in(Door.PARTNER, (await mailed(service, "lea", "sign-in")).token("sign-in"))
    # Other leads, wherever one can stand.
    await register(service, "r-4", "ida", "AT")
    await mailed(service, "ida", "confirm")
    await register(service, "r-5", "pia", "FR", registered_at=LONG_AGO.isoformat())
    await service.reaches("r-5", State.NOTIFIED)
    await register(service, "r-6", "una", "Zqzqcountry")


async def test_after_an_erasure_nothing_anywhere_knows_the_person(real: "Service") -> None:
    parts, everybody = real.parts, ("lea", "ida", "pia", "eve", "una", "ana", "tom")
    async with real.working():
        await travel(real)
    # Nobody works: what is asked now is still unanswered when it is erased, and the mail has not left.
    await parts.sessions.ask(Door.PARTNER, address("lea"), Language.GERMAN)
    await parts.subscribers.put("p-2", address("lea"), Choice())
    again = SourceRequestIn.model_validate({"email": address("lea"), "message": "Zqzqagain"})
    request_id = await parts.source_requests.open(again, Channel.API, OFFICER)

    before = await marked_tables(real)
    assert set(before) == {"contacts", "mails", "registrations", "sign_ins", "source_requests", "subscribers"}
    assert {"zqzqlea", "zqzqgivenlea", "zqzqfamilylea"} <= before["contacts"]
    assert {"zqzqlea", "zqzqida", "zqzqpia", "zqzqgivenlea"} <= before["mails"]
    assert {"zqzqcompanylea", "zqzqcountry"} <= before["registrations"]
    assert {"zqzqname", "zqzqmessage", "zqzqnote", "zqzqagain"} <= before["source_requests"]

    arrived = len(real.mails())
    done = {who: await parts.erasures.erase(address(who), OFFICER) for who in everybody}
    assert done["lea"].ended == {"registrations": 2, "source_requests": 2, "mails": 1}
    assert await marked_tables(real) == {}

    async with real.working():

        async def over() -> bool:
            return all(run.startswith("digest/") for run in await still_running(real))

        await until("every workflow has ended but the digest, which wakes to find nobody", over)
    assert len(real.mails()) == arrived
    assert {await real.state(each) for each in ("r-1", "r-2", "r-3", "r-4", "r-6")} == {State.SUPPRESSED}
    assert await parts.source_clock.advance(request_id) is None

    assert await marked_tables(real) == {}
    seen = set()
    async for workflow_id, content in kept_by_temporal(real):
        seen.add(workflow_id.partition("/")[0])
        assert (workflow_id, marks_in(content)) == (workflow_id, set())
    assert {"registration", "mail", "source-request", "sign-in", "digest"} <= seen
    assert (await parts.ledger.verify()).flaws == ()
    for who in everybody:
        assert not any((await parts.erasures.erase(address(who), OFFICER)).removed.values())


async def test_erasing_at_the_same_time_as_everything_else_leaves_nothing_behind(real: "Service") -> None:
    """Whatever is under way when the erasure comes, nothing of it arrives afterwards."""
    parts = real.parts
    async with real.working():
        for round_ in range(3):
            who = f"rush{'abc'[round_]}"
            given = SourceRequestIn.model_validate({"email": address(who), "message": "Zqzqmessage"})
            await asyncio.gather(
                register(real, f"x-{round_}", who, "DE"),
                parts.subscribers.put(f"p-{round_}", address(who), Choice()),
                parts.source_requests.open(given, Channel.FORM),
                parts.sessions.ask(Door.PARTNER, address(who), Language.GERMAN),
            )
            await parts.erasures.erase(address(who), OFFICER)
        await parts.erasures.erase(address("ana"), OFFICER)

        async def quiet() -> bool:
            return not await still_running(real) and (await parts.agenda.outbox_depth()) == 0

        await until("everything has ended", quiet)
    assert await marked_tables(real) == {}
