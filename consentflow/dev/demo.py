"""``consentflow demo``: the 30-day story on the engine whose clock can be moved, told as a timeline."""

import asyncio
import email
import email.policy
import logging
import re
import tempfile
from email.message import EmailMessage
from pathlib import Path

import httpx
from rich.console import Console

from consentflow.dev.sample import lead
from consentflow.dev.stack import Stack, stack
from consentflow.domain.intake import RegistrationIn
from consentflow.logs import set_up_logging

CAST = (
    (lead("lea", "Lea", "Muster", "firma.example", "DE"), "never answers"),
    (lead("urs", "Urs", "Keller", "werk.example", "Schweiz"), "presses the button on day 2"),
    (lead("eva", "Eva", "Huber", "betrieb.example", "AT"), "had confirmed her address on the site before"),
    (lead("camille", "Camille", "Dupont", "entreprise.example", "France"), "does nothing"),
    (lead("rui", "Rui", "Silva", "empresa.example", "PRT"), "downloads a paper on day 10"),
    (lead("ines", "Inés", "García", "empresa-sur.example", "España"), "objects on day 10"),
    (lead("kim", "Kim", "Larsen", "nowhere.example", None), "lives nobody knows where"),
    (lead("jo", "Jo", "Smith", "company.example", "US"), "lives outside the EU"),
    (lead("lea-again", "Lea", "Muster", "firma.example", "DE"), "is the same Lea, registered once more"),
)

ENDINGS = {
    "lea": "lapsed",
    "urs": "confirmed",
    "eva": "confirmed",
    "camille": "notified",
    "rui": "satisfied",
    "ines": "suppressed",
    "kim": "notified",
    "jo": "no_contact",
    "lea-again": "lapsed",
}
MAILED = {"lea": 1, "urs": 1, "camille": 1, "kim": 1}
"""How many mails each person gets in the whole story; nobody else gets any."""

_LINK = re.compile(r"https?://\S+/confirm/\S+")
_PATIENCE_SECONDS = 30


class Story:
    """Plays the story through the public API and says what it sees.

    Args:
        client: Speaks to the API with an administrator's key.
    """

    def __init__(self, running: Stack, client: httpx.AsyncClient, out: Console) -> None:
        self._maildir = Path(running.info["maildir"])
        self._client = client
        self._out = out
        self._states: dict[str, str] = {}
        self._mails: dict[str, EmailMessage] = {}
        self._events = 0

    async def play(self) -> bool:
        """Plays it; True if everybody ended as the policy says, with exactly the mails it says."""
        self._day("Day 0", "partners register their leads")
        await self._event("contact.email_verified", "eva@betrieb.example")
        for request, about in CAST:
            await self._register(request, about)
        await self._settled("lea", "awaiting_confirmation")
        await self._settled("urs", "awaiting_confirmation")
        await self._news()

        await self._pass("P2D")
        self._day("Day 2", "Urs opens his mail and presses the button")
        await self._press("urs@werk.example")
        await self._news()

        await self._pass("P8D")
        self._day("Day 10", "Rui downloads a paper, Inés objects")
        await self._event("contact.content_downloaded", "rui@empresa.example")
        await self._event("contact.objected", "inés@empresa-sur.example")
        await self._news()

        await self._pass("P19DT23H")
        self._day("Day 29, 23 h", "nothing is due yet")
        await self._news()

        await self._pass("PT2H")
        self._day("Day 30, 1 h", "the 30 days are over")
        await self._news()

        await self._pass("P335D")
        self._day("A year later", "no reminder was sent, no second mail")
        await self._news()
        return self._conclude()

    async def _register(self, request: RegistrationIn, about: str) -> None:
        answer = await self._client.post(
            "/v1/registrations", content=request.model_dump_json(), headers={"Content-Type": "application/json"}
        )
        answer.raise_for_status()
        seen = answer.json()
        name = _name(request.registration_id)
        self._states[name] = seen["state"]
        country = seen["country"] or "??"
        due = f", due {seen['due_at'][:10]}" if seen["due_at"] and seen["regime"] == "delayed_notice" else ""
        self._out.print(f"  [bold]{name:<10}[/bold] {country}  {about}")
        self._out.print(f"  {'':<10}     [dim]{seen['regime']}: {seen['state']} ({seen['reason']}{due})[/dim]")

    async def _event(self, kind: str, address: str) -> None:
        self._events += 1
        event = {
            "specversion": "1.0",
            "id": str(self._events),
            "source": "demo",
            "type": kind,
            "data": {"email": address},
        }
        (await self._client.post("/v1/events", json=event)).raise_for_status()
        self._out.print(f"  [cyan]event[/cyan]      {kind} {address}")

    async def _press(self, address: str) -> None:
        mail = next(mail for mail in self._mails.values() if address in str(mail["To"]))
        text = mail.get_body(("plain",))
        link = _LINK.search(text.get_content() if text else "")
        if link is None:
            raise RuntimeError("the mail has no link to confirm")
        (await self._client.get(link[0])).raise_for_status()
        self._out.print(
            "  [cyan]page[/cyan]       opened: nothing happens by looking (mail scanners follow links, too)"
        )
        (await self._client.post(link[0])).raise_for_status()
        self._out.print("  [cyan]page[/cyan]       button pressed")

    async def _pass(self, duration: str) -> None:
        (await self._client.post("/dev/clock", json={"advance": duration}, timeout=120)).raise_for_status()

    async def _settled(self, name: str, state: str) -> None:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while await self._state(name) != state:
                await asyncio.sleep(0.05)

    async def _state(self, name: str) -> str:
        state: str = (await self._client.get(f"/v1/registrations/sample-{name}")).json()["state"]
        return state

    async def _news(self) -> None:
        """Says which mails arrived and which registrations moved since the last time."""
        for file in sorted((self._maildir / "new").iterdir()):
            if file.name in self._mails:
                continue
            mail = email.message_from_bytes(file.read_bytes(), _class=EmailMessage, policy=email.policy.default)
            self._mails[file.name] = mail
            self._out.print(f"  [green]mail[/green]       to {mail['To']}: “{mail['Subject']}”")
        quiet = True
        for name, before in self._states.items():
            now = await self._state(name)
            if now != before:
                quiet = False
                self._out.print(f"  [bold]{name:<10}[/bold] {before} → [bold]{now}[/bold]")
                self._states[name] = now
        if quiet:
            self._out.print("  [dim]nobody's state changed[/dim]")

    def _day(self, when: str, what: str) -> None:
        self._out.print(f"\n[bold]{when}[/bold]: {what}")

    def _conclude(self) -> bool:
        counts = dict.fromkeys(MAILED, 0)
        for mail in self._mails.values():
            person = str(mail["To"]).partition(" ")[0].lower()
            counts[person] = counts.get(person, 0) + 1
        as_told = self._states == ENDINGS and counts == MAILED
        self._out.print(
            f"\n{len(self._states)} registrations, {len(self._mails)} mails, "
            + ("each as the policy says." if as_told else f"[red]not as the policy says: {self._states} {counts}[/red]")
        )
        return as_told


async def run(out: Console) -> None:
    """Plays the story on a stack of its own, which leaves nothing behind.

    Raises:
        SystemExit: With 1, when the story did not go as the policy says.
    """
    set_up_logging("console", logging.ERROR)
    out.print("Starting Postgres, Temporal's time-skipping engine, mail sink, API and worker …")
    with tempfile.TemporaryDirectory(prefix="consentflow-demo-") as folder:
        async with stack(Path(folder), 0, time_skipping=True) as running:
            key = {"Authorization": f"Bearer {running.info['keys']['admin']}"}
            async with httpx.AsyncClient(base_url=running.info["api"], headers=key, timeout=30) as client:
                as_told = await Story(running, client, out).play()
    if not as_told:
        raise SystemExit(1)


def _name(registration_id: str) -> str:
    return registration_id.removeprefix("sample-")
