"""Traces from the request to the mail, when they are configured; else not even their library is loaded."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from temporalio.worker import Interceptor, Replayer, UnsandboxedWorkflowRunner

from consentflow import tracing
from consentflow.dev.mailbox import mail_sink
from consentflow.dev.temporal import connect, time_skipping_server
from consentflow.domain.registrations import State
from consentflow.neighbours import prepare_search_attributes
from consentflow.workflows.registration import RegistrationWorkflow
from tests.acceptance.collector import Collector, collecting
from tests.conftest import environment
from tests.faults.processes import until
from tests.faults.world import Arrived, World, running
from tests.workflow.service import SkippingService, skipping_service

TRACE_ID, CALLER_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
LEAD = {
    "registration_id": "r-traced",
    "kind": "lead",
    "partner_id": "partner-KANARIENVOGEL",
    "registered_by": "kanarienvogel.partner@vertrieb.example",
    "contact": {"email": "kanarienvogel@firma.example", "given_name": "Kanarienvogel", "family_name": "Geheim"},
    "company": {"name": "Kanarienvogel GmbH", "domain": "firma.example"},
    "country": "DE",
}
THE_WAY = [
    "POST /v1/registrations",
    "register",
    "process registration.start",
    "StartWorkflow:registration",
    "StartActivity:registration.send_double_opt_in",
    "RunActivity:registration.send_double_opt_in",
    "smtp send",
]
"""Each step is the parent of the next."""


@dataclass(frozen=True)
class Story:
    """A registration in Germany whose lead confirms, and what a collector has of it."""

    collector: Collector
    mail: Arrived
    key: str
    token: str


@pytest.fixture(scope="module")
async def story() -> AsyncIterator[Story]:
    folder = Path(tempfile.mkdtemp(prefix="consentflow-traces-"))
    try:
        with collecting() as collector:
            settings = {"CONSENTFLOW_TRACING__ENDPOINT": collector.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "100"}
            async with running(folder, more_settings=settings) as world:
                yield await _told(world, collector)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _told(world: World, collector: Collector) -> Story:
    headers = {"traceparent": f"00-{TRACE_ID}-{CALLER_ID}-01"}
    async with world.caller() as client:
        answer = await client.post("/v1/registrations", json=LEAD, headers=headers)
        assert answer.status_code == 202, answer.text
        await world.settles("r-traced", state="awaiting_confirmation")
        (mail,) = world.arrived()
        token = mail.token("confirm")
        assert token is not None
        assert (await client.get(f"/confirm/{token}")).status_code == 200
        assert (await client.post(f"/confirm/{token}")).status_code == 200
        assert (await client.get("/v1/registrations/kanarienvogel@firma.example")).status_code == 422
        assert (await client.post("/v1/registrations", json=LEAD | {"country": 7})).status_code == 422
    await world.settles("r-traced", state="confirmed")
    await until("the workflow has heard of it", lambda: _has_heard(collector))
    assert await world.worker.stop() == 0
    assert await world.api.stop() == 0
    return Story(collector, mail, world.key, token)


async def _has_heard(collector: Collector) -> bool:
    return bool(collector.named("HandleSignal:steer"))


async def test_a_registration_is_one_trace_from_the_callers_request_to_the_mail(story: Story) -> None:
    way = [_of_trace(story.collector, name) for name in THE_WAY]
    assert way[0].parent_span_id.hex() == CALLER_ID
    assert [step.parent_span_id for step in way[1:]] == [step.span_id for step in way[:-1]]
    assert [step.kind for step in (way[0], way[2], way[-1])] == [
        Span.SPAN_KIND_SERVER,
        Span.SPAN_KIND_CONSUMER,
        Span.SPAN_KIND_CLIENT,
    ]
    started = _of_trace(story.collector, "StartWorkflow:registration")
    assert _of_trace(story.collector, "RunWorkflow:registration").parent_span_id == started.span_id


async def test_a_request_is_described_by_its_route(story: Story) -> None:
    said = {each.key: each.value for each in _of_trace(story.collector, THE_WAY[0]).attributes}
    assert said["http.route"].string_value == "/v1/registrations"
    assert said["http.request.method"].string_value == "POST"
    assert said["http.response.status_code"].int_value == 202
    assert {"GET /confirm/{token}", "POST /confirm/{token}"} <= {span.name for span in story.collector.spans}


async def test_what_the_confirmation_sets_going_is_a_trace_of_its_own(story: Story) -> None:
    confirmed = story.collector.only("POST /confirm/{token}")
    told = story.collector.only("SignalWithStartWorkflow:registration")
    assert told.trace_id == confirmed.trace_id != bytes.fromhex(TRACE_ID)
    (handled,) = story.collector.named("HandleSignal:steer")
    assert [link.trace_id for link in handled.links] == [told.trace_id]


async def test_no_span_holds_personal_data_a_token_a_key_or_the_partner(story: Story) -> None:
    everything = b"".join(story.collector.received).lower()
    assert b"r-traced" in everything
    message_id = story.mail.message_id.strip("<>").lower().encode()
    marks = [b"kanarienvogel", b"geheim", b"firma.example", b"vertrieb.example", message_id]
    marks += [secret.lower().encode() for secret in (story.token, story.key)]
    assert [mark for mark in marks if mark in everything] == []
    assert not any(span.events for span in story.collector.spans)  # they would hold errors with all that led there


@pytest.fixture
async def traced(database_url: str, tmp_path: Path) -> AsyncIterator[tuple[SkippingService, Collector]]:
    """A service of this process whose time can be skipped; what it traced has arrived once it is closed."""
    maildir = tmp_path / "mail"
    with collecting() as collector, tracing.sending_traces(collector.endpoint, "test"):
        async with time_skipping_server() as address, mail_sink(maildir) as port:
            client = await connect(address)
            assert await prepare_search_attributes(client)
            async with skipping_service(database_url, client, port, maildir, tmp_path / "clock.json") as service:
                yield service, collector


async def test_what_begins_a_month_later_is_a_trace_of_its_own_linked_with_the_one_it_came_from(
    traced: tuple[SkippingService, Collector], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    service, collector = traced
    with tracing.span("a caller"):
        registration_id = await service.register("FR")
    await service.advance(days=30)
    await service.reaches(registration_id, State.NOTIFIED)
    await service.ends(registration_id)
    spans = await until("all spans have arrived", lambda: _arrived(collector, "CompleteWorkflow:registration"))

    caller, started = collector.only("a caller"), collector.only("StartWorkflow:registration")
    woken = collector.only("RunWorkflow:registration")
    assert started.trace_id == caller.trace_id
    assert woken.trace_id != caller.trace_id
    assert woken.parent_span_id == b""
    assert [(link.trace_id, link.span_id) for link in woken.links] == [(started.trace_id, started.span_id)]
    asked = collector.only("StartActivity:registration.send_notice")
    assert asked.parent_span_id == woken.span_id
    assert {span.name for span in spans if span.trace_id == woken.trace_id} >= {asked.name, "smtp send"}
    assert all(span.end_time_unix_nano - span.start_time_unix_nano < 600e9 for span in spans)

    known = len(collector.spans)
    replayer = Replayer(
        workflows=[RegistrationWorkflow],
        interceptors=[each for each in tracing.interceptors() if isinstance(each, Interceptor)],
        workflow_runner=UnsandboxedWorkflowRunner(),  # as the workers do
    )
    await replayer.replay_workflow(await service.history(registration_id))
    with tracing.span("after the replay"):
        pass
    await until("the span has arrived", lambda: _arrived(collector, "after the replay"))
    assert len(collector.spans) == known + 1


async def _arrived(collector: Collector, name: str) -> list[Span] | None:
    return collector.spans if collector.named(name) else None


def _of_trace(collector: Collector, name: str) -> Span:
    """The only span of that name in the caller's trace."""
    (span,) = [each for each in collector.named(name) if each.trace_id.hex() == TRACE_ID]
    return span


HIDDEN = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter")):
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Hidden())
"""


@pytest.fixture
def nowhere() -> dict[str, str]:
    """The settings of a process that would find no neighbour."""
    return environment("postgresql://nobody@127.0.0.1:1/nothing")


def test_without_an_endpoint_opentelemetrys_sdk_is_not_even_loaded(nowhere: dict[str, str]) -> None:
    look = (
        "import sys; from consentflow import tracing; import consentflow.cli, consentflow.api.app, consentflow.worker\n"
        "with tracing.sending_traces(None, 'api'), tracing.span('something'), tracing.within('x'):\n"
        "    print(tracing.current(), tracing.interceptors(), [name for name in sys.modules"
        "        if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter', 'temporalio.contrib'))])"
    )
    seen = _python(look, nowhere)
    assert (seen.returncode, seen.stdout.strip()) == (0, "None [] []"), seen.stderr


@pytest.mark.parametrize("process", ["api", "worker"])
def test_a_process_that_is_to_trace_and_cannot_stops_and_says_what_is_missing(
    process: str, nowhere: dict[str, str]
) -> None:
    start = f"{HIDDEN}\nsys.argv = ['consentflow', '{process}']\nfrom consentflow.cli import main\nmain()"
    ended = _python(start, nowhere | {"CONSENTFLOW_TRACING__ENDPOINT": "http://collector.example:4318"})
    assert ended.returncode != 0
    said = " ".join((ended.stderr + ended.stdout).split())
    assert "opentelemetry.sdk is not installed; it comes with the extra otel" in said
    assert "Traceback" not in ended.stderr


def _python(code: str, settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], env=settings, capture_output=True, text=True, timeout=60, check=False
    )
