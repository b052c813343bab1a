"""The daily sweep of what was kept long enough."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from consentflow.activities.retention import RetentionActivities, Totals
    from consentflow.workflows import options


@workflow.defn(name="retention")
class RetentionWorkflow:
    """Makes one sweep; started by a schedule."""

    @workflow.run
    async def run(self) -> Totals:
        """Tries until it is done; what went stays in the history, as numbers."""
        return await workflow.execute_activity_method(
            RetentionActivities.sweep,
            start_to_close_timeout=options.SWEEP_TIMEOUT,
            heartbeat_timeout=options.SWEEP_HEARTBEAT,
            retry_policy=options.PERSISTENT,
        )
