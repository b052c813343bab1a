"""The durable way of one mail that no registration sends."""

from dataclasses import dataclass

from temporalio import workflow
from temporalio.common import Priority

with workflow.unsafe.imports_passed_through():
    from consentflow.activities.mails import MailActivities
    from consentflow.workflows import options


@dataclass(frozen=True, slots=True)
class MailOrder:
    """What the workflow starts with. Only ever add to it."""

    mail_id: str


@workflow.defn(name="mail")
class MailWorkflow:
    """Sends one frozen mail, however long the mail server takes to accept it."""

    @workflow.run
    async def run(self, order: MailOrder) -> str:
        """How it ended."""
        return await send_mail(order.mail_id, options.POST_PRIORITY)


async def send_mail(mail_id: str, priority: int) -> str:
    """Sends a frozen mail from any workflow; tries until it has come to an end, and says which."""
    return await workflow.execute_activity_method(
        MailActivities.send,
        mail_id,
        task_queue=workflow.info().task_queue + options.MAIL_QUEUE_SUFFIX,
        start_to_close_timeout=options.SENDING_TIMEOUT,
        heartbeat_timeout=options.SENDING_HEARTBEAT,
        retry_policy=options.PERSISTENT,
        priority=Priority(priority_key=priority),
    )
