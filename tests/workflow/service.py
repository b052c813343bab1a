"""A whole service as a test holds it: real Postgres, Temporal and mail server, moved and read by the test."""

import asyncio
import email.policy
import mailbox
import re
import secrets
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from aiosmtpd.smtp import SMTP, Envelope, Session
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.testservice.v1 import SleepRequest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle, WorkflowHistory
from temporalio.service import RPCError, RPCStatusCode

from consentflow.dev.clock import SteppedClock, TimeMachine
from consentflow.dev.temporal import HOST, free_port
from consentflow.domain.clock import Clock, SystemClock
from consentflow.domain.events import CloudEvent
from consentflow.domain.intake import RegistrationIn
from consentflow.domain.registrations import Registration, State
from consentflow.operations.consent import Link
from consentflow.relay import Relay
from consentflow.runtime import Parts
from consentflow.worker import working
from tests.conftest import make_settings

DEADLINE_SECONDS = 60
"""How long a condition may take to come true before a test fails: generous, since nothing is measured by it."""

SIGNALED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
TASK_SCHEDULED = EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED
TIMER_STARTED = EventType.EVENT_TYPE_TIMER_STARTED

T = TypeVar("T")


async def until(what: str, answer: Callable[[], Awaitable[T]]) -> T:
    """Asks again until the answer is true, and returns it."""
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not (found := await answer()):
                await asyncio.sleep(0.02)
            return found
    except TimeoutError:
        raise AssertionError(f"waited in vain until {what}") from None


@dataclass(frozen=True)
class Mail:
    """A mail as it arrived."""

    message: EmailMessage

    @property
    def to(self) -> str:
        return str(self.message["To"].addresses[0].addr_spec)

    @property
    def message_id(self) -> str:
        return str(self.message["Message-ID"])

    @property
    def asks(self) -> bool:
        """Whether it is a double opt-in; else it is a notice."""
        return "/confirm/" in self._text

    def links_to(self, purpose: str) -> bool:
        """Whether it has such a link."""
        return re.search(rf"/{purpose}/[\w-]+", self._text) is not None

    def token(self, purpose: str) -> str:
        """The token of the link ``confirm`` or ``unsubscribe``."""
        found = re.search(rf"/{purpose}/([\w-]+)", self._text)
        assert found is not None, f"no link to {purpose}"
        return found[1]

    @property
    def _text(self) -> str:
        part = self.message.get_body(("plain",))
        assert part is not None
        return str(part.get_content())


@dataclass
class PostOffice:
    """A mail server that may be shut: its port is known before it opens, and refuses connections until then.

    Args:
        answers: What the next recipients are answered, ``{to}`` standing for the address; then all are taken.
    """

    maildir: Path
    port: int = field(default_factory=free_port)
    answers: deque[str] = field(default_factory=deque)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        server = await asyncio.get_running_loop().create_server(
            partial(SMTP, self, hostname="post.example", enable_SMTPUTF8=True), HOST, self.port
        )
        try:
            yield
        finally:
            server.close()
            await server.wait_closed()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        del server, session, options
        if self.answers:
            return self.answers.popleft().format(to=address)
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 fine"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        del server, session
        assert isinstance(envelope.content, bytes)
        mailbox.Maildir(self.maildir).add(envelope.content)
        return "250 2.0.0 kept"


@dataclass
class Service:
    """Parts on a database of their own, a client of Temporal, and the Maildir where mail arrives."""

    parts: Parts
    client: Client
    maildir: Path

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Runs the workers and the relay."""
        async with working(self.parts, self.client, searchable=True):
            yield

    def relay(self, client: Client | None = None, *, most: int = 100) -> Relay:
        """A relay that delivers only when told to."""
        queue = self.parts.settings.temporal.task_queue
        return Relay(self.parts.database, client or self.client, self.parts.clock, queue, searchable=True, most=most)

    async def register(
        self,
        country: str | None,
        *,
        address: str = "eva@firma.example",
        partner: str = "partner-1",
        registered_at: datetime | None = None,
        kind: str = "lead",
        registered_by: str | None = None,
        given_name: str | None = None,
        family_name: str | None = None,
    ) -> str:
        """Registers a contact under a fresh id, each partner for a company of its own; returns the id."""
        registration_id = f"r-{secrets.token_hex(8)}"
        content = {
            "registration_id": registration_id,
            "kind": kind,
            "registered_by": registered_by,
            "partner_id": partner,
            "contact": {"email": address, "given_name": given_name, "family_name": family_name},
            "company": {"domain": f"lead-of-{partner}.example"},
            "country": country,
            "registered_at": registered_at.isoformat() if registered_at else None,
        }
        await self.parts.registrations.register(RegistrationIn.model_validate(content))
        return registration_id

    async def tell(self, event: str, address: str = "eva@firma.example") -> None:
        """Hands in a consent event, such as ``opted_in``."""
        content = {
            "specversion": "1.0",
            "id": secrets.token_hex(8),
            "source": "/site",
            "type": f"contact.{event}",
            "data": {"email": address},
        }
        counts = await self.parts.events.record([CloudEvent.model_validate(content)])
        assert counts.accepted == 1

    async def press(self, mail: Mail) -> Link:
        """Presses the button of a double opt-in."""
        return await self.parts.consent.confirm(mail.token("confirm"))

    async def registration(self, registration_id: str) -> Registration:
        return (await self.parts.registrations.find(registration_id)).registration

    async def state(self, registration_id: str) -> State:
        return (await self.registration(registration_id)).state

    async def events_on_record(self, registration_id: str) -> dict[str, datetime]:
        """What the ledger says happened to a registration, and when last."""
        timeline = (await self.parts.registrations.find(registration_id)).timeline
        return {entry.event: entry.at for entry in timeline}

    async def reaches(self, registration_id: str, state: State) -> None:
        async def is_there() -> bool:
            return await self.state(registration_id) is state

        await until(f"the registration is {state.value}", is_there)

    async def settles(self) -> None:
        """Waits until everything that is due has been handled and Temporal has heard of everything."""

        async def is_settled() -> bool:
            return await self.parts.agenda.unsettled(self.parts.clock.now()) == 0

        await until("everything due is handled", is_settled)

    def mails(self) -> list[Mail]:
        """All that arrived, oldest first."""
        if not self.maildir.exists():
            return []
        contents = [message.as_bytes() for message in mailbox.Maildir(self.maildir, create=False)]
        parser = BytesParser(EmailMessage, policy=email.policy.default)
        mails = [Mail(parser.parsebytes(content)) for content in contents]
        return sorted(mails, key=lambda mail: mail.message["Date"].datetime)

    def only_mail(self) -> Mail:
        (mail,) = self.mails()
        return mail

    def workflow(self, registration_id: str) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(f"registration/{registration_id}")

    async def history(self, registration_id: str) -> WorkflowHistory:
        return await self.workflow(registration_id).fetch_history()

    async def all_that_temporal_holds(self, registration_id: str) -> bytes:
        """History and description of the workflow, pending attempts with their last failure included, in lower case."""
        history = await self.history(registration_id)
        description = (await self.workflow(registration_id).describe()).raw_description
        return b"".join(part.SerializeToString() for part in (*history.events, description)).lower()

    async def happened(self, registration_id: str, kind: "EventType.ValueType") -> list[HistoryEvent]:
        """The events of one kind in the workflow's history."""
        return [event for event in (await self.history(registration_id)).events if event.event_type == kind]

    async def comes_to(self, registration_id: str, kind: "EventType.ValueType") -> None:
        async def has_come() -> bool:
            return bool(await self.happened(registration_id, kind))

        await until(f"the history has {EventType.Name(kind)}", _once_started(has_come))

    async def is_running(self, registration_id: str) -> bool:
        status = (await self.workflow(registration_id).describe()).status
        assert status in {WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.COMPLETED}
        return status is WorkflowExecutionStatus.RUNNING

    async def ends(self, registration_id: str) -> None:
        """Waits until the workflow is completed."""

        async def has_ended() -> bool:
            return not await self.is_running(registration_id)

        await until("the workflow is completed", _once_started(has_ended))

    async def fetch(self, query: str, *arguments: object) -> Any:  # noqa: ANN401 - as Postgres has it
        """One value from the database."""
        async with self.parts.database.transaction() as connection:
            return await connection.fetchval(query, *arguments)

    async def attempted(self, registration_id: str, times: int = 1) -> None:
        """Waits until the registration's mail has been tried in vain, and lies there to be tried again."""

        async def has_been() -> bool:
            attempts = await self.fetch(
                "SELECT attempts FROM mails WHERE registration_id = $1 AND state = 'frozen'", registration_id
            )
            return attempts is not None and attempts >= times

        await until("the mail has been tried", has_been)


@dataclass
class SkippingService(Service):
    """A service whose time the test moves, together with Temporal's."""

    clock: SteppedClock
    machine: TimeMachine

    async def advance(self, **by: float) -> None:
        """Moves on, stopping wherever something is due, until all that became due is handled."""
        assert await self.machine.advance(timedelta(**by)) == 0

    async def skip(self, **by: float) -> None:
        """Moves both clocks at once and waits for nothing: what is retried is tried again."""
        self.clock.move(timedelta(**by))
        await self.skip_temporal(**by)

    async def skip_temporal(self, **by: float) -> None:
        """Moves Temporal's clock alone."""
        request = SleepRequest()
        request.duration.FromTimedelta(timedelta(**by))
        await self.client.test_service.unlock_time_skipping_with_sleep(request)


def _once_started(question: Callable[[], Awaitable[bool]]) -> Callable[[], Awaitable[bool]]:
    """False while the relay has not started the workflow yet."""

    async def ask() -> bool:
        try:
            return await question()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise

    return ask


def make_parts(database_url: str, clock: Clock, temporal: str, smtp_port: int) -> Parts:
    """Parts with a task queue of their own."""
    return Parts(
        make_settings(
            database_url,
            temporal={"address": temporal, "task_queue": f"test-{secrets.token_hex(6)}"},
            smtp={"host": HOST, "port": smtp_port, "tls": "off"},
        ),
        clock,
    )


@asynccontextmanager
async def real_service(database_url: str, client: Client, smtp_port: int, maildir: Path) -> AsyncIterator[Service]:
    """A service on a real Temporal server and the machine's clock; it works once it is told to."""
    parts = make_parts(database_url, SystemClock(), client.service_client.config.target_host, smtp_port)
    async with parts.database:
        yield Service(parts, client, maildir)


@asynccontextmanager
async def skipping_service(
    database_url: str, client: Client, smtp_port: int, maildir: Path, memory: Path
) -> AsyncIterator[SkippingService]:
    """A working service on a server that can skip time."""
    clock = SteppedClock(memory)
    parts = make_parts(database_url, clock, client.service_client.config.target_host, smtp_port)
    machine = TimeMachine(clock, client, parts.agenda)
    service = SkippingService(parts, client, maildir, clock, machine)
    async with parts.database, service.working():
        yield service
