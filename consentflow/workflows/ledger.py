"""The daily checkpoint over the ledger."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from consentflow.activities.ledger import LedgerActivities, Sealed
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
