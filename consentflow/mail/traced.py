"""The SMTP conversation as a step of a trace."""

from typing import Protocol

from consentflow import tracing
from consentflow.domain.letters import FrozenMail


class Mailer(Protocol):
    """Hands a mail to a server."""

    async def send(self, mail: FrozenMail) -> str:
        """Sends the frozen bytes; returns the server's reply."""


class TracedMailer:
    """Hands mails to a mailer, and says in traces how long that took and how it ended; not to whom they go.

    Args:
        host: Of the mail server.
    """

    def __init__(self, mailer: Mailer, host: str, port: int) -> None:
        self._mailer = mailer
        self._server: dict[str, str | int] = {
            "network.protocol.name": "smtp",
            "server.address": host,
            "server.port": port,
        }

    async def send(self, mail: FrozenMail) -> str:
        """Sends the frozen bytes; returns the server's reply. Raises `SendingFailed`."""
        with tracing.span("smtp send", "client", self._server):
            return await self._mailer.send(mail)
