"""The relay has several loads on their way at once."""

import asyncio
from typing import Any

from temporalio.client import Client, Interceptor, OutboundInterceptor, StartWorkflowInput, WorkflowHandle

from tests.workflow.service import Service, until


class SlowFor(Interceptor):
    """A way to Temporal on which the start of one workflow takes until it is let through."""

    def __init__(self, registration_id: str) -> None:
        self.workflow_id = f"registration/{registration_id}"
        self.is_on_its_way = asyncio.Event()
        self.let_through = asyncio.Event()

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002 - the SDK's name
        return _Slow(next, self)


class _Slow(OutboundInterceptor):
    def __init__(self, next_one: OutboundInterceptor, slow: SlowFor) -> None:
        super().__init__(next_one)
        self._slow = slow

    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:  # noqa: A002
        if input.id == self._slow.workflow_id:
            self._slow.is_on_its_way.set()
            await self._slow.let_through.wait()
        return await super().start_workflow(input)


async def _by(slow: SlowFor, real: Service) -> Client:
    return await Client.connect(real.client.service_client.config.target_host, interceptors=[slow])


async def _comes_to(real: Service, depth: int) -> None:
    async def is_there() -> bool:
        return await real.parts.agenda.outbox_depth() == depth

    await until(f"{depth} messages are left", is_there)


async def test_a_slow_call_holds_up_no_message_of_another_load(real: Service) -> None:
    slow = SlowFor(await real.register("FR", address="first@firma.example"))
    carrying = asyncio.create_task(real.relay(await _by(slow, real), most=1).run())
    await slow.is_on_its_way.wait()
    others = [await real.register("FR", address=f"lead-{n}@firma.example") for n in range(10)]
    await _comes_to(real, 1)
    for registration in others:
        assert await real.is_running(registration)
    slow.let_through.set()
    await _comes_to(real, 0)
    carrying.cancel()
    await asyncio.wait({carrying})


async def test_what_was_on_its_way_when_a_relay_stopped_is_delivered_by_the_next(real: Service) -> None:
    registration = await real.register("FR")
    slow = SlowFor(registration)
    carrying = asyncio.create_task(real.relay(await _by(slow, real)).run())
    await slow.is_on_its_way.wait()
    assert await real.relay().deliver() == 0  # it is held
    carrying.cancel()
    await asyncio.wait({carrying})
    assert await real.relay().deliver() == 1
    assert await real.is_running(registration)
