"""The durable way of one notification: from the first news to the mail."""

from dataclasses import dataclass

from temporalio import workflow
from temporalio.common import Priority

with workflow.unsafe.imports_passed_through():
    from consentflow.activities.digests import DigestActivities
    from consentflow.workflows import options


@dataclass(frozen=True, slots=True)
class DigestOrder:
    """What the workflow starts with. Sleeping digests were started with it: only ever add to it.

    Args:
        revision: Of the due time that it was started for; after that was moved it has nothing to do.
    """

    digest_id: str
    revision: int


@workflow.defn(name="digest")
class DigestWorkflow:
    """Sleeps by its start delay while a digest is collected, then has it told.

    Nobody signals it: what is to be told, and whether another has taken over since, stands in the record.
    """

    @workflow.run
    async def run(self, order: DigestOrder) -> str:
        """How it ended."""
        return await workflow.execute_activity_method(
            DigestActivities.send,
            args=[order.digest_id, order.revision],
            task_queue=workflow.info().task_queue + options.MAIL_QUEUE_SUFFIX,
            start_to_close_timeout=options.SENDING_TIMEOUT,
            heartbeat_timeout=options.SENDING_HEARTBEAT,
            retry_policy=options.PERSISTENT,
            priority=Priority(priority_key=options.DIGEST_PRIORITY),
        )
