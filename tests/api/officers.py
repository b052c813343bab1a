"""An officer's browser at the console, and every page and form it meets there."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import pytest

from consentflow.domain.letters import Language
from consentflow.mail.reading import read_frozen
from consentflow.operations.officers import OfficerRole
from tests.api.signing_in import form_token, sign_in

if TYPE_CHECKING:
    from tests.api.conftest import Api

OFFICER, COLLEAGUE = "dora@controller.example", "ben@controller.example"
LEA = "lea@firma.example"


@dataclass
class Console:
    """An officer's browser."""

    api: "Api"
    client: httpx.AsyncClient

    async def look(self, path: str, status: int = 200) -> str:
        """The text of a page."""
        answer = await self.client.get(path)
        assert answer.status_code == status, (path, answer.status_code, answer.text)
        return answer.text

    async def send(self, path: str, status: int = 303, /, **fields: str) -> httpx.Response:
        """Sends a form, as a page of this session would."""
        token = form_token(await self.client.get("/console/requests/new"))
        answer = await self.client.post(path, data={"csrf": token, **fields})
        assert answer.status_code == status, (path, answer.status_code, answer.text)
        return answer

    async def find(self, text: str) -> str:
        """Where a search leads."""
        return (await self.send("/console/search", text=text)).headers["location"]

    async def ask(self, email: str = LEA, **fields: str) -> str:
        """Enters a request whose identity was shown; returns its path."""
        answer = await self.send("/console/requests", email=email, **fields)
        path = str(answer.headers["location"])
        await self.send(f"{path}/identity", identity_reason="by telephone")
        return path

    async def letter(self, path: str, **fields: str) -> dict[str, str]:
        """Looks at the letter of a decision; returns what the button would send."""
        page = (await self.send(f"{path}/preview", 200, **fields)).text
        form = page.partition(f'action="{path}/decision"')[2].partition("</form>")[0]
        return {name: value for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', form) if name != "csrf"}


async def browser(api: "Api") -> httpx.AsyncClient:
    transport = api.client._transport  # noqa: SLF001 - the same application
    return httpx.AsyncClient(transport=transport, base_url="http://testserver")


async def signed_in(api: "Api", address: str, role: OfficerRole = OfficerRole.OFFICER) -> Console:
    await api.parts.officers.add(address, role, Language.ENGLISH)
    answer = await sign_in(api, address, "console", language="en")
    client = await browser(api)
    client.cookies.update(api.client.cookies)
    api.client.cookies.clear()
    assert answer.headers["location"] == "/console"
    return Console(api, client)


@pytest.fixture
async def console(api: "Api") -> AsyncIterator[Console]:
    """An officer, and a lead with its mail."""
    assert (await api.register()).status_code == 202
    await api.mail_leaves()
    console = await signed_in(api, OFFICER)
    async with console.client:
        yield console


@pytest.fixture
async def colleague(api: "Api", console: Console) -> AsyncIterator[Console]:  # noqa: ARG001 - signs in first
    other = await signed_in(api, COLLEAGUE, OfficerRole.ADMIN)
    async with other.client:
        yield other


async def subject_of_lea(api: "Api") -> str:
    (row,) = await api.rows("registrations WHERE registration_id = 'r-1'", "subject")
    return str(row["subject"])


async def paths(api: "Api", request: str) -> list[str]:
    """Every page there is to look at."""
    person = f"/console/people/{await subject_of_lea(api)}"
    return [
        "/console",
        "/console/requests",
        "/console/requests?show=closed",
        "/console/requests/new",
        request,
        "/console/registrations/r-1",
        "/console/companies/firma.example",
        person,
        f"{person}/erase",
        f"{person}/evidence",
        f"{person}/receipts",
        "/console/suppressions",
        "/console/acts",
        "/console/ledger",
        "/console/officers",
    ]


async def forms(api: "Api", request: str) -> list[str]:
    """Every path that a form of the console is sent to."""
    person = f"/console/people/{await subject_of_lea(api)}"
    acts = ("preview", "decision", "extension", "pause", "resume", "identity")
    return [
        "/console/search",
        "/console/language",
        "/console/requests",
        *(f"{request}/{act}" for act in acts),
        f"{person}/erase",
        f"{person}/access",
        "/console/suppressions",
        "/console/ledger/verify",
    ]


async def seen(api: "Api") -> list[tuple[str, str]]:
    """What was looked at, and by whom, in order."""
    rows = await api.rows("ledger WHERE event = 'viewed' ORDER BY entry_id", "detail")
    return [(row["detail"]["actor"], row["detail"]["what"]) for row in rows]


async def posted(api: "Api", purpose: str) -> list[str]:
    """The texts of the mails of that purpose."""
    rows = await api.rows(f"mails WHERE purpose = '{purpose}' ORDER BY frozen_at", "content")
    return [read_frozen(row["content"]).text for row in rows]
