"""The daily checkpoint over the ledger, and the daily look at all of it."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from consentflow.activities.ledger import LedgerActivities, Sealed, Verified
    from consentflow.workflows import options


@workflow.defn(name="ledger-checkpoint")
class LedgerCheckpointWorkflow:
    """Makes one checkpoint; started by a schedule."""

    @workflow.run
    async def run(self) -> Sealed:
        """Tries until it is made; its root stays in the history."""
        return await workflow.execute_activity_method(
            LedgerActivities.checkpoint,
            start_to_close_timeout=options.CHECKPOINT_TIMEOUT,
            retry_policy=options.PERSISTENT,
        )


@workflow.defn(name="ledger-verification")
class LedgerVerificationWorkflow:
    """Goes through the whole ledger once; started by a schedule."""

    @workflow.run
    async def run(self) -> Verified:
        """Tries until it has come to an end; what was found stays in the history, as numbers."""
        return await workflow.execute_activity_method(
            LedgerActivities.verify,
            start_to_close_timeout=options.VERIFICATION_TIMEOUT,
            heartbeat_timeout=options.VERIFICATION_HEARTBEAT,
            retry_policy=options.PERSISTENT,
        )
