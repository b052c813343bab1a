"""The nightly look at the whole ledger, on real servers."""

from typing import TYPE_CHECKING

from consentflow.schedules import VERIFICATION
from tests.workflow.service import until

if TYPE_CHECKING:
    from tests.workflow.service import Service


async def test_the_worker_keeps_a_schedule_that_looks_at_the_whole_ledger_and_keeps_what_it_found(
    real: "Service",
) -> None:
    await real.register("FR")
    async with real.working():
        handle = real.client.get_schedule_handle(VERIFICATION)
        assert [
            (spec.hour[0].start, spec.minute[0].start) for spec in (await handle.describe()).schedule.spec.calendars
        ] == [(1, 10)]
        await handle.trigger()

        async def verified() -> bool:
            return (await real.parts.ledger.state()).verification is not None

        await until("the ledger was looked at", verified)
    found = (await real.parts.ledger.state()).verification
    assert found is not None
    assert (found.flaws, found.entries > 0) == ((), True)
