"""Sending frozen mails over SMTP (RFC 5321), on connections that are kept.

A `SmtpPool` has a fixed number of lanes. A lane has at most one connection and serves one mail at a time, so
there are never more connections than lanes. It opens one when a mail comes and none is kept, and says QUIT after
a number of mails or a time without any.
"""

import asyncio
import ssl
from types import TracebackType
from typing import Final, Self

from consentflow.domain.errors import InvalidInput, TransientFailure
from consentflow.domain.letters import FrozenMail
from consentflow.mail.message import require_address
from consentflow.mail.replies import Stage
from consentflow.mail.session import SERVICE_CLOSING, Session, SmtpServer, TlsMode, tls_context

__all__ = ["SmtpPool", "SmtpServer", "TlsMode"]

_LONGEST_LINE: Final = 998


class SmtpPool:
    """Sends mails through one server. Connects when the first mail comes, never before.

    Args:
        server: Where to, and how.

    Raises:
        InvalidInput: ``unreadable`` when ``ca_file`` cannot be read.
    """

    def __init__(self, server: SmtpServer) -> None:
        context = None if server.tls is TlsMode.OFF else tls_context(server.ca_file)
        self._lanes = tuple(_Lane(server, context) for _ in range(server.connections))
        # Last in, first out: under little load few lanes stay busy and the others fall idle.
        self._free: asyncio.LifoQueue[_Lane] = asyncio.LifoQueue()
        for lane in self._lanes:
            self._free.put_nowait(lane)
        self._closed = False

    async def send(self, mail: FrozenMail) -> str:
        """Hand one mail to the server, exactly its bytes; waits for a free connection.

        A kept connection that turns out to be dead is replaced and the mail tried once more. A cancelled call
        closes its connection; whether the server took the mail is then unknown.

        Returns:
            The server's last reply: one line, at most 200 characters.

        Raises:
            InvalidInput: ``invalid_address`` or ``malformed_content``: nothing was sent.
            RecipientRefused: Permanent, and about this recipient; also one who needs SMTPUTF8 (RFC 6531)
                where the server has none.
            TransientFailure: Nothing was taken; the same bytes may be tried later. Also: the pool is closed.
            ConfigurationFault: The server refuses us, or cannot protect the connection.
            OutcomeUnsure: The server has the whole mail and never answered.
        """
        require_address("/envelope_from", mail.envelope_from, ascii_only=True)
        require_address("/envelope_to", mail.envelope_to)
        _require_lines(mail.content)
        lane = await self._free.get()
        try:
            if self._closed:
                raise TransientFailure(Stage.CONNECT)
            return await lane.send(mail)
        finally:
            self._free.put_nowait(lane)

    async def close(self) -> None:
        """Let the mails under way finish and say QUIT everywhere. Mails that still wait for a lane fail."""
        if self._closed:
            return
        self._closed = True
        held: list[_Lane] = []
        try:
            for _ in self._lanes:
                held.append(await self._free.get())
                held[-1].part()
            for lane in held:
                await lane.parted()
        finally:
            for lane in self._lanes:
                lane.abort()
            for lane in held:
                self._free.put_nowait(lane)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


class _Lane:
    """A place for one connection; whoever holds the lane may send one mail."""

    def __init__(self, server: SmtpServer, context: ssl.SSLContext | None) -> None:
        self._server = server
        self._context = context
        self._connection: Session | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._parting: asyncio.Task[None] | None = None

    async def send(self, mail: FrozenMail) -> str:
        self._stop_idling()
        await self.parted()
        kept, self._connection = self._connection, None
        if kept is not None and kept.is_open:
            try:
                return await self._send_on(kept, mail)
            except TransientFailure as failure:
                if not _was_stale(failure):
                    raise
        return await self._send_on(await Session.open(self._server, self._context), mail)

    def part(self) -> None:
        """Begin to close the kept connection; only the lane's next mail has to wait for it."""
        self._stop_idling()
        connection, self._connection = self._connection, None
        if connection is not None:
            self._parting = asyncio.get_running_loop().create_task(connection.quit())

    async def parted(self) -> None:
        """Wait until the connection that `part` began to close is closed."""
        if self._parting is not None:
            await asyncio.wait({self._parting})
            self._parting = None

    def abort(self) -> None:
        """Close at once, without the courtesies."""
        self._stop_idling()
        if self._connection is not None:
            self._connection.abort()
        if self._parting is not None:
            self._parting.cancel()

    async def _send_on(self, connection: "Session", mail: FrozenMail) -> str:
        try:
            return await connection.deliver(mail)
        finally:
            if connection.is_open:
                self._keep(connection)

    def _keep(self, connection: "Session") -> None:
        self._connection = connection
        if connection.mails >= self._server.mails_per_connection:
            self.part()
        else:
            loop = asyncio.get_running_loop()
            self._idle_timer = loop.call_later(self._server.idle_seconds, self.part)

    def _stop_idling(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None


def _require_lines(content: bytes) -> None:
    """Insist on lines as RFC 5321 section 2.3.8 has them: a bare CR or LF can smuggle in a second mail."""
    breaks = content.count(b"\r\n")
    whole = content.endswith(b"\r\n") and content.count(b"\r") == content.count(b"\n") == breaks
    if not whole or not _has_short_lines(content):
        raise InvalidInput("/content", "malformed_content", "A line does not end in CRLF or is too long.")


def _has_short_lines(content: bytes) -> bool:
    """Whether no line that ends in CRLF is too long; looks for one end in each such stretch, not for every end."""
    begin = 0
    while begin < len(content):
        end = content.rfind(b"\r\n", begin, begin + _LONGEST_LINE + 2)
        if end < 0:
            return False
        begin = end + 2
    return True


def _was_stale(failure: TransientFailure) -> bool:
    """Whether a kept connection had died, or was told to go, before it came to the content."""
    return failure.code in {None, SERVICE_CLOSING} and failure.stage in {Stage.MAIL, Stage.RCPT}
