"""The way of a link to sign in, from the asking to the mail."""

from dataclasses import dataclass

from temporalio import workflow
from temporalio.common import Priority

with workflow.unsafe.imports_passed_through():
    from consentflow.activities.sign_in import SignInActivities
    from consentflow.workflows import options
    from consentflow.workflows.mail import send_mail


@dataclass(frozen=True, slots=True)
class SignInOrder:
    """What the workflow starts with. Only ever add to it."""

    sign_in_id: str


@workflow.defn(name="sign_in")
class SignInWorkflow:
    """Answers one request for a link, by mail or not at all."""

    @workflow.run
    async def run(self, order: SignInOrder) -> str:
        """How the mail ended, or that there was none."""
        mail_id = await workflow.execute_activity_method(
            SignInActivities.answer,
            order.sign_in_id,
            start_to_close_timeout=options.STORAGE_TIMEOUT,
            retry_policy=options.PERSISTENT,
            priority=Priority(priority_key=options.POST_PRIORITY),
        )
        return await send_mail(mail_id, options.POST_PRIORITY) if mail_id else "no_mail"
