"""The least that Temporal can be asked to do: what floors are made of."""

from datetime import timedelta

from temporalio import activity, workflow


@workflow.defn(name="bench-nothing")
class Nothing:
    """Ends at once, when it is woken at all."""

    @workflow.run
    async def run(self, name: str) -> None:
        """Does nothing."""


class NoOp:
    """The activity that does nothing.

    Attributes:
        done: How often it was run.
    """

    def __init__(self) -> None:
        self.done = 0

    @activity.defn(name="bench-no-op")
    async def run(self, name: str) -> str:
        """Does nothing."""
        self.done += 1
        return name


@workflow.defn(name="bench-one-activity")
class OneActivity:
    """Runs one activity that does nothing."""

    @workflow.run
    async def run(self, name: str) -> None:
        """Runs it."""
        await workflow.execute_activity_method(NoOp.run, name, start_to_close_timeout=timedelta(seconds=30))


@workflow.defn(name="bench-sleeper")
class Sleeper:
    """Waits as one would write it down first."""

    @workflow.run
    async def run(self, registration: str) -> None:  # noqa: ARG002 - it is part of what is kept
        """Sleeps for 30 days."""
        await workflow.sleep(timedelta(days=30))
