"""Every way that the service goes with a registration, gone once on real servers to be counted.

A journey prepares what must be there, says `Watch.begins`, and answers with the workflows that it is about. The mails
that it sets going by themselves are found and counted with it.
"""

from datetime import timedelta

from benchmarks.costs.watch import Journey, Watch, address_of_somebody
from consentflow.domain.registrations import State
from tests.workflow.service import TIMER_STARTED

SOON = timedelta(seconds=4)


def _registration(registration_id: str) -> list[str]:
    return [f"registration/{registration_id}"]


async def _ended(watch: Watch, registration_id: str) -> list[str]:
    await watch.service.ends(registration_id)
    await watch.service.settles()  # a relay that is stopped before it has noted what Temporal took delivers it again
    return _registration(registration_id)


async def _asked(watch: Watch, country: str | None = "DE") -> tuple[str, str]:
    """A registration whose question has left, and its address."""
    address = address_of_somebody()
    registration = await watch.service.register(country, address=address)
    await watch.service.comes_to(registration, TIMER_STARTED)
    return registration, address


async def no_contact(watch: Watch) -> list[str]:
    """No contact."""
    await watch.begins()
    async with watch.service.working():
        return await _ended(watch, await watch.service.register("US", address=address_of_somebody()))


async def waiting(watch: Watch) -> list[str]:
    """Waiting (still open)."""
    await watch.begins()
    async with watch.service.working():
        registration = await watch.service.register("FR", address=address_of_somebody())
        await watch.service.settles()
    return _registration(registration)


async def satisfied(watch: Watch) -> list[str]:
    """Waiting, then satisfied."""
    address = address_of_somebody()
    await watch.begins()
    async with watch.service.working():
        registration = await watch.service.register("FR", address=address)
        await watch.service.settles()
        await watch.service.tell("opted_in", address)
        return await _ended(watch, registration)


async def notified(watch: Watch) -> list[str]:
    """Waiting, then notified."""
    await watch.begins()
    due_soon = watch.clock.now() + SOON - timedelta(days=watch.service.parts.policy.notice.after_days)
    async with watch.service.working():
        registration = await watch.service.register("FR", address=address_of_somebody(), registered_at=due_soon)
        return await _ended(watch, registration)


async def withdrawn_while_waiting(watch: Watch) -> list[str]:
    """Waiting, then withdrawn."""
    await watch.begins()
    async with watch.service.working():
        registration = await watch.service.register("FR", address=address_of_somebody())
        await watch.service.settles()
        await watch.service.parts.registrations.withdraw(registration)
        return await _ended(watch, registration)


async def objected_while_waiting(watch: Watch) -> list[str]:
    """Waiting, then objected."""
    address = address_of_somebody()
    await watch.begins()
    async with watch.service.working():
        registration = await watch.service.register("FR", address=address)
        await watch.service.settles()
        await watch.service.tell("objected", address)
        return await _ended(watch, registration)


async def already_informed(watch: Watch) -> list[str]:
    """EU, already informed."""
    address = address_of_somebody()
    await watch.service.tell("form_submitted", address)
    await watch.begins()
    async with watch.service.working():
        return await _ended(watch, await watch.service.register("FR", address=address))


async def asked(watch: Watch) -> list[str]:
    """Double opt-in, asked (still open)."""
    await watch.begins()
    async with watch.service.working():
        registration, _ = await _asked(watch)
        await watch.service.settles()
    return _registration(registration)


async def confirmed(watch: Watch) -> list[str]:
    """Double opt-in, confirmed."""
    await watch.begins()
    async with watch.service.working():
        registration, address = await _asked(watch)
        await watch.service.press(await watch.mail_to(address))
        return await _ended(watch, registration)


async def lapsed(watch: Watch) -> list[str]:
    """Double opt-in, lapsed.

    Asked thirty days ago but for a few seconds; then our clock catches up with Temporal's.
    """
    await watch.begins()
    behind = timedelta(days=watch.service.parts.policy.double_opt_in.validity_days) - 3 * SOON
    watch.clock.move(-behind)
    async with watch.service.working():
        registration, _ = await _asked(watch)
        watch.clock.move(behind)
        await watch.service.reaches(registration, State.LAPSED)
        return await _ended(watch, registration)


async def withdrawn_while_asked(watch: Watch) -> list[str]:
    """Double opt-in, withdrawn."""
    await watch.begins()
    async with watch.service.working():
        registration, _ = await _asked(watch)
        await watch.service.parts.registrations.withdraw(registration)
        return await _ended(watch, registration)


async def objected_while_asked(watch: Watch) -> list[str]:
    """Double opt-in, objected."""
    await watch.begins()
    async with watch.service.working():
        registration, address = await _asked(watch)
        await watch.service.tell("objected", address)
        return await _ended(watch, registration)


async def suppressed_before_asking(watch: Watch) -> list[str]:
    """Double opt-in, suppressed before asking."""
    address = address_of_somebody()
    await watch.service.tell("objected", address)
    await watch.begins()
    async with watch.service.working():
        return await _ended(watch, await watch.service.register("DE", address=address))


async def already_confirmed(watch: Watch) -> list[str]:
    """DACH, already confirmed."""
    address = address_of_somebody()
    await watch.service.tell("opted_in", address)
    await watch.begins()
    async with watch.service.working():
        return await _ended(watch, await watch.service.register("DE", address=address))


async def joined_question(watch: Watch) -> list[str]:
    """Double opt-in, joined another's question.

    Only what the second registration of the same address costs.
    """
    async with watch.service.working():
        _, address = await _asked(watch)
        await watch.begins()
        joining = await watch.service.register("DE", address=address, partner="partner-2")
        await watch.service.reaches(joining, State.AWAITING_CONFIRMATION)
        await watch.service.settles()
        await watch.service.press(await watch.mail_to(address))
        return await _ended(watch, joining)


async def corrected_to_double_opt_in(watch: Watch) -> list[str]:
    """Waiting, corrected FR → DE, confirmed."""
    address = address_of_somebody()
    await watch.begins()
    async with watch.service.working():
        registration = await watch.service.register("FR", address=address)
        await watch.service.settles()
        await watch.service.parts.registrations.correct_location(registration, "DE")
        await watch.service.comes_to(registration, TIMER_STARTED)
        await watch.service.press(await watch.mail_to(address))
        return await _ended(watch, registration)


async def corrected_to_no_contact(watch: Watch) -> list[str]:
    """Waiting, corrected FR → US."""
    await watch.begins()
    async with watch.service.working():
        registration = await watch.service.register("FR", address=address_of_somebody())
        await watch.service.settles()
        await watch.service.parts.registrations.correct_location(registration, "US")
        return await _ended(watch, registration)


async def corrected_after_asking(watch: Watch) -> list[str]:
    """Asked, corrected DE → FR, confirmed.

    Germany corrected to France while the question is open, which changes nothing that the lead was told.
    """
    async with watch.service.working():
        await watch.begins()
        registration, address = await _asked(watch)
        await watch.service.parts.registrations.correct_location(registration, "FR")
        await watch.service.press(await watch.mail_to(address))
        return await _ended(watch, registration)


REGISTRATIONS: tuple[Journey, ...] = (
    no_contact,
    waiting,
    satisfied,
    notified,
    withdrawn_while_waiting,
    objected_while_waiting,
    already_informed,
    asked,
    confirmed,
    lapsed,
    withdrawn_while_asked,
    objected_while_asked,
    suppressed_before_asking,
    already_confirmed,
    joined_question,
    corrected_to_double_opt_in,
    corrected_to_no_contact,
    corrected_after_asking,
)
"""On the dev server."""
