"""The least that Temporal can be asked to do: what floors are made of."""

from datetime import timedelta

from temporalio import activity, workflow


@workflow.defn(name="bench-nothing")
class Nothing:
    """Ends at once, when it is woken at all."""

    @workflow.run
    async def run(self, name: str) -> None:
        """Does nothing."""


@activity.defn(name="bench-no-op")
async def no_op(name: str) -> str:
    """Does nothing."""
    return name


@workflow.defn(name="bench-one-activity")
class OneActivity:
    """Runs one activity that does nothing."""

    @workflow.run
    async def run(self, name: str) -> None:
        """Runs it."""
        await workflow.execute_activity(no_op, name, start_to_close_timeout=timedelta(seconds=30))
