"""Running random lives: a state machine whose rules do their work in an event loop of their own."""

import asyncio
from collections.abc import Callable

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from consentflow.runtime import Parts


def run_lives(make: Callable[[asyncio.Runner], RuleBasedStateMachine], parts: Parts, *, lives: int, steps: int) -> None:
    """Lives so many lives of so many steps, then closes the database in the loop that used it."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        try:
            run_state_machine_as_test(
                lambda: make(runner),  # type: ignore[arg-type]  # anything that makes a machine will do
                settings=settings(
                    max_examples=lives,
                    stateful_step_count=steps,
                    deadline=None,
                    report_multiple_bugs=False,
                    print_blob=False,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(parts.database.close())
