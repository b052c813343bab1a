"""Links to sign in, from the asking to the mail, on a real engine and a real mail server."""

import base64
import re

import pytest
from temporalio.client import WorkflowHandle

from consentflow.domain.letters import Language
from consentflow.domain.sign_in import Door
from consentflow.operations.posting import Outcome
from tests.workflow.service import PostOffice, SkippingService, until

ANA = "ana@partner.example"
NOBODY = "nobody@nowhere.example"
NO_MAIL = "no_mail"


class Asking:
    """Somebody asks for a link; how that went."""

    def __init__(self, service: SkippingService) -> None:
        self._service = service

    async def by(self, address: str) -> WorkflowHandle[object, object]:
        """The workflow that answers."""
        asked = await self._service.parts.sessions.ask(Door.PARTNER, address, Language.GERMAN)

        async def heard() -> bool:
            return await self._service.parts.agenda.outbox_depth() == 0

        await until("Temporal has heard of it", heard)
        return self._service.client.get_workflow_handle(f"sign-in/{asked}")

    async def is_tried(self) -> None:
        """Waits until the mail server has been tried in vain."""

        async def has_been() -> bool:
            query = "SELECT count(*) FROM mails WHERE purpose = 'sign_in' AND attempts > 0 AND state = 'frozen'"
            return bool(await self._service.fetch(query))

        await until("the mail has been tried", has_been)


@pytest.fixture
async def asking(posting: SkippingService) -> Asking:
    """Ana has registered a lead, so that she may enter."""
    await posting.register("US", registered_by=ANA)
    await posting.settles()
    return Asking(posting)


async def test_the_mailed_link_lets_in(posting: SkippingService, post: PostOffice, asking: Asking) -> None:
    async with post.open():
        answering = await asking.by(ANA)
        assert await answering.result() == Outcome.ACCEPTED
    (mail,) = posting.mails()
    assert mail.to == ANA
    key = await posting.parts.sessions.sign_in(Door.PARTNER, mail.token("sign-in"))
    assert key is not None
    assert await posting.parts.sessions.find(Door.PARTNER, key) is not None


async def test_whoever_is_not_known_gets_nothing(posting: SkippingService, post: PostOffice, asking: Asking) -> None:
    async with post.open():
        answering = await asking.by(NOBODY)
        assert await answering.result() == NO_MAIL
    assert posting.mails() == []
    assert await posting.fetch("SELECT count(*) FROM sign_ins") == 0


async def test_the_mail_leaves_when_the_mail_server_is_back(
    posting: SkippingService, post: PostOffice, asking: Asking
) -> None:
    answering = await asking.by(ANA)
    await asking.is_tried()
    async with post.open():
        await posting.skip(minutes=16)
        assert await answering.result() == Outcome.ACCEPTED
    assert len(posting.mails()) == 1


async def test_a_link_that_would_be_useless_by_now_is_not_mailed(
    posting: SkippingService, post: PostOffice, asking: Asking
) -> None:
    answering = await asking.by(ANA)
    await asking.is_tried()
    async with post.open():
        await posting.skip(minutes=21)
        assert await answering.result() == Outcome.DROPPED
    assert posting.mails() == []
    assert await posting.fetch("SELECT count(*) FROM mails WHERE envelope_to IS NOT NULL") == 0


async def test_temporal_learns_no_address(post: PostOffice, asking: Asking) -> None:
    async with post.open():
        for address in (ANA, NOBODY):
            answering = await asking.by(address)
            await answering.result()
            text = (await answering.fetch_history()).to_json()
            seen = [text, *(base64.b64decode(data).decode() for data in re.findall(r'"data": "([^"]*)"', text))]
            assert [part for part in seen if re.search(r"@partner|nowhere|/sign-in/[\w-]{22}\b", part)] == []
