"""The worker: carries out workflows and activities, and runs the relay. Start as many as the load needs."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import timedelta

import structlog
from prometheus_client import start_http_server
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import (
    PollerBehaviorAutoscaling,
    UnsandboxedWorkflowRunner,
    Worker,
    WorkerDeploymentConfig,
)
from uvicorn.loops.auto import auto_loop_factory

from consentflow.activities.digests import DigestActivities
from consentflow.activities.ledger import LedgerActivities
from consentflow.activities.mails import MailActivities
from consentflow.activities.registrations import RegistrationActivities
from consentflow.activities.retention import RetentionActivities
from consentflow.activities.sign_in import SignInActivities
from consentflow.activities.source_requests import SourceRequestActivities
from consentflow.domain.clock import SystemClock
from consentflow.logs import set_up_logging
from consentflow.mail.traced import TracedMailer
from consentflow.neighbours import connect_temporal, patiently, prepare_search_attributes
from consentflow.relay import Relay
from consentflow.runtime import Parts
from consentflow.schedules import keep_schedules
from consentflow.settings import InvalidSettings, Settings, read_settings
from consentflow.signals import until_stopped
from consentflow.tracing import sending_traces
from consentflow.workflows.digest import DigestWorkflow
from consentflow.workflows.ledger import LedgerCheckpointWorkflow, LedgerVerificationWorkflow
from consentflow.workflows.mail import MailWorkflow
from consentflow.workflows.options import MAIL_QUEUE_SUFFIX
from consentflow.workflows.registration import RegistrationWorkflow
from consentflow.workflows.retention import RetentionWorkflow
from consentflow.workflows.sign_in import SignInWorkflow
from consentflow.workflows.source_request import SourceRequestWorkflow

DRAIN = timedelta(seconds=30)
"""How long what is in flight may take to finish after the process was told to stop."""

IN_HAND = 4
"""Mails that are in hand for each connection to the mail server: while one is sent others are written and recorded.

They are recorded together, so it saves time; but whatever is in hand when a worker is killed counts as unsure.
"""

_log = structlog.get_logger("consentflow.worker")


@asynccontextmanager
async def working(parts: Parts, client: Client, *, searchable: bool) -> AsyncIterator[None]:
    """Runs workers for both task queues and the relay, and drains them at the end.

    Args:
        client: Connected to Temporal.
        searchable: Whether Temporal knows our search attributes.
    """
    temporal = parts.settings.temporal
    async with AsyncExitStack() as stack:
        stack.push_async_callback(parts.database.close)
        smtp = parts.settings.smtp
        mailer = TracedMailer(await stack.enter_async_context(parts.mailer()), smtp.host, smtp.port)
        activities = RegistrationActivities(parts.sending, mailer)
        mails = MailActivities(parts.posting, mailer)
        digests = DigestActivities(parts.digests, parts.posting, mailer)
        ledger = LedgerActivities(parts.ledger)
        retention = RetentionActivities(parts.retention)
        sign_in = SignInActivities(parts.sessions)
        source_requests = SourceRequestActivities(parts.source_clock)
        mail = Worker(
            client,
            task_queue=temporal.task_queue + MAIL_QUEUE_SUFFIX,
            activities=[activities.send_double_opt_in, activities.send_notice, mails.send, digests.send],
            max_concurrent_activities=mails_in_hand(parts.settings),
            max_task_queue_activities_per_second=parts.settings.smtp.mails_per_second,
            graceful_shutdown_timeout=DRAIN,
            activity_task_poller_behavior=PollerBehaviorAutoscaling(),
            deployment_config=_deployment(temporal.build_id),
        )
        course = Worker(
            client,
            task_queue=temporal.task_queue,
            workflows=[
                RegistrationWorkflow,
                MailWorkflow,
                DigestWorkflow,
                SignInWorkflow,
                SourceRequestWorkflow,
                LedgerCheckpointWorkflow,
                LedgerVerificationWorkflow,
                RetentionWorkflow,
            ],
            activities=[
                activities.lapse,
                ledger.checkpoint,
                ledger.verify,
                retention.sweep,
                sign_in.answer,
                source_requests.advance,
            ],
            workflow_runner=UnsandboxedWorkflowRunner(),  # the sandbox is for what replays every path: the tests
            graceful_shutdown_timeout=DRAIN,
            workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
            activity_task_poller_behavior=PollerBehaviorAutoscaling(),
            deployment_config=_deployment(temporal.build_id),
        )
        await stack.enter_async_context(mail)
        await stack.enter_async_context(course)
        await patiently("temporal", lambda: keep_schedules(client, temporal.task_queue))
        relay = Relay(
            parts.database,
            client,
            parts.clock,
            temporal.task_queue,
            searchable=searchable,
            loads=min(3, parts.settings.database_connections // 2),
        )
        carrying = asyncio.create_task(relay.run(), name="relay")
        stack.push_async_callback(_end, carrying)
        yield


async def run(settings: Settings) -> None:
    """The worker process: waits for what it needs, works until it is told to stop."""
    parts = Parts(settings, SystemClock())
    with telling_metrics(settings.metrics_host, settings.metrics_port):
        client = await connect_temporal(settings.temporal, metrics_address=settings.temporal.metrics_address)
        searchable = await prepare_search_attributes(client)
        async with working(parts, client, searchable=searchable):
            _log.info("working", task_queue=settings.temporal.task_queue)
            await until_stopped()
            _log.info("draining")


def mails_in_hand(settings: Settings) -> int:
    """How many mails a worker has in hand. Where an unsure mail is held, no more than may really be unsure."""
    return settings.smtp.connections * (IN_HAND if settings.mail.when_unsure == "retry" else 1)


@contextmanager
def telling_metrics(host: str, port: int | None) -> Iterator[int | None]:
    """Serves the metrics of this process at ``/metrics`` until the block ends; yields the port, None when it is None.

    Args:
        port: 0 for any free one.

    Raises:
        InvalidSettings: Nothing can be served there.
    """
    if port is None:
        yield None
        return
    try:
        server, thread = start_http_server(port, host)
    except OSError as error:
        raise InvalidSettings(f"CONSENTFLOW_METRICS_PORT: {error.strerror}") from None
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def main() -> None:
    """Runs a worker from the environment's settings."""
    settings = read_settings()
    set_up_logging(settings.log_format)
    with (
        sending_traces(settings.tracing.endpoint, "worker"),
        asyncio.Runner(loop_factory=auto_loop_factory()) as runner,  # uvloop, where there is one
    ):
        runner.run(run(settings))


def _deployment(build_id: str | None) -> WorkerDeploymentConfig | None:
    if build_id is None:
        return None
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(deployment_name="consentflow", build_id=build_id),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE,
    )


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
