"""Signing in over HTTP, with the worker's part done by hand."""

import re
from typing import TYPE_CHECKING
from uuid import UUID

import httpx

from consentflow.storage.mails import StoredMail

if TYPE_CHECKING:
    from tests.api.conftest import Api

ANA = "ana@partner.example"
"""Has registered a lead for the partner p-77, once `Api.register` was called."""


async def ask(api: "Api", address: str, door: str = "partner", **more: str) -> httpx.Response:
    """Asks for a link on the page."""
    return await api.client.post(f"/{door}/sign-in", data={"email": address, **more})


async def mailed(api: "Api") -> list[StoredMail]:
    """What a worker sends when the relay has told it of everybody who asked."""
    mails = []
    for row in await api.rows("outbox WHERE topic = 'sign_in.asked' ORDER BY outbox_id"):
        mail_id = await api.parts.sessions.answer(UUID(row["payload"]["sign_in_id"]))
        if mail_id:
            due = await api.parts.posting.begin(mail_id)
            assert isinstance(due, StoredMail)
            await api.parts.posting.accepted(mail_id, "2.0.0 taken")
            mails.append(due)
    async with api.parts.database.transaction() as connection:
        await connection.execute("DELETE FROM outbox WHERE topic = 'sign_in.asked'")
    return mails


def link_in(mail: StoredMail) -> str:
    """The path of the link in a mail."""
    assert mail.mail is not None
    found = re.search(
        r"http://127\.0\.0\.1:8000(/\w+/sign-in/[\w-]{22})", mail.mail.content.decode().replace("=\r\n", "")
    )
    assert found is not None
    return found[1]


async def link_for(api: "Api", address: str, door: str = "partner", **more: str) -> str:
    """Asks, and returns the path of the link that is mailed."""
    assert (await ask(api, address, door, **more)).status_code == 200
    (mail,) = await mailed(api)
    return link_in(mail)


async def sign_in(api: "Api", address: str = ANA, door: str = "partner", **more: str) -> httpx.Response:
    """Signs the client in; its cookie jar keeps the session."""
    answer = await api.client.post(await link_for(api, address, door, **more))
    assert answer.status_code == 303
    return answer


def form_token(page: httpx.Response) -> str:
    """The token in the page's forms."""
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', page.text)
    assert found is not None, page.text
    return found[1]
