"""How long generated input goes on: a moment in every run, or as long as wanted with FUZZ_TIMES=100 (times as many)."""

import os

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("FUZZ_TIMES", "1"))


def some(examples: int) -> settings:
    """So many examples, always the same; or as many times more as wanted, new ones in each run."""
    return settings(
        max_examples=examples * TIMES,
        deadline=None,
        derandomize=TIMES == 1,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
