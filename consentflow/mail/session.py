"""One SMTP session (RFC 5321): protected, logged in, and fit for the next mail, or closed.

aiosmtplib is spoken to in single commands: its ``sendmail`` cannot tell a line lost before the content was handed
over from one lost after it. Its errors end here; they carry addresses, ours do not.
"""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final, Self, cast

import aiosmtplib

from consentflow.domain.errors import (
    ConfigurationFault,
    InvalidInput,
    RecipientRefused,
    SendingFailed,
    TransientFailure,
)
from consentflow.domain.letters import FrozenMail
from consentflow.mail.replies import Stage, classify, one_line

_QUIT_SECONDS: Final = 5.0
SERVICE_CLOSING: Final = 421


class TlsMode(StrEnum):
    """How a connection is protected (RFC 8314)."""

    OFF = "off"
    """In clear: for a server on the same machine."""
    REQUIRED = "required"
    """STARTTLS, or nothing is sent."""
    IMPLICIT = "implicit"
    """TLS from the first byte, as on port 465."""


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """A server that takes our mail, and how it is treated.

    Args:
        host: Name or address; with TLS, what its certificate must be for.
        port: TCP port.
        username: Account to log in to; None where the server asks for none.
        password: The account's password; kept out of ``repr``.
        tls: How the connection is protected.
        ca_file: PEM file of the authorities to trust instead of the system's.
        hello_name: Our host name for EHLO; None for the address literal of our end (RFC 5321 section 4.1.4).
        connections: Most connections at a time.
        mails_per_connection: After this many a connection is replaced.
        idle_seconds: After this long without a mail a connection is closed.
        timeout_seconds: Longest wait for the connection and for each answer but the last.
        final_reply_seconds: Longest wait for the answer to the content. Giving up early makes mails that
            may have been taken; RFC 5321 section 4.5.3.2.6 asks for ten minutes.
    """

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: TlsMode = TlsMode.REQUIRED
    ca_file: Path | None = None
    hello_name: str | None = None
    connections: int = 4
    mails_per_connection: int = 100
    idle_seconds: float = 30.0
    timeout_seconds: float = 30.0
    final_reply_seconds: float = 600.0


class Session:
    """One SMTP session, protected and logged in. Between two calls it is fit for the next mail, or closed."""

    def __init__(self, server: SmtpServer, context: ssl.SSLContext | None) -> None:
        self.mails = 0
        self._server = server
        self._client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            # A placeholder for what `_hello` says; without one aiosmtplib asks the DNS for our name.
            local_hostname="localhost",
            timeout=server.timeout_seconds,
            use_tls=server.tls is TlsMode.IMPLICIT,
            start_tls=False,
            tls_context=context,
        )

    @classmethod
    async def open(cls, server: SmtpServer, context: ssl.SSLContext | None) -> Self:
        """A session that is connected, protected as the settings ask, and logged in. Raises `SendingFailed`."""
        connection = cls(server, context)
        try:
            await connection._establish()
        except SendingFailed:
            await connection.quit()
            raise
        except BaseException:
            connection.abort()
            raise
        return connection

    @property
    def is_open(self) -> bool:
        """Whether the line is there, as far as one can tell without using it."""
        return self._client.is_connected

    async def deliver(self, mail: FrozenMail) -> str:
        """One mail transaction (RFC 5321 section 3.3); after a refusal the session is reset for the next."""
        utf8 = not mail.envelope_to.isascii()
        if utf8 and not self._client.supports_extension("smtputf8"):
            raise RecipientRefused(Stage.RCPT, enhanced="5.6.7")
        self.mails += 1
        try:
            return await self._transact(mail, utf8=utf8)
        except SendingFailed as failure:
            await self._recover(failure)
            raise
        except BaseException:
            self.abort()
            raise

    async def quit(self) -> None:
        """Close politely; in any case close."""
        try:
            await self._client.quit(timeout=min(_QUIT_SECONDS, self._server.timeout_seconds))
        except (aiosmtplib.SMTPException, OSError):
            pass
        finally:
            self.abort()

    def abort(self) -> None:
        """Close at once, dropping what is not yet on the wire."""
        if self._client.transport is not None:
            cast("asyncio.WriteTransport", self._client.transport).abort()
        self._client.close()

    async def _establish(self) -> None:
        client, server = self._client, self._server
        with _translated(Stage.CONNECT):
            await client.connect()
            await client.ehlo(hostname=self._hello())
            if server.tls is TlsMode.REQUIRED:
                if not client.supports_extension("starttls"):
                    raise ConfigurationFault(Stage.CONNECT)
                await client.starttls()
                await client.ehlo(hostname=self._hello())
        if server.username is not None:
            if not client.supported_auth_methods:
                raise ConfigurationFault(Stage.AUTH)
            with _translated(Stage.AUTH):
                await client.login(server.username, server.password or "")

    def _hello(self) -> str:
        if self._server.hello_name is not None:
            return self._server.hello_name
        own_address = str(self._client.get_transport_info("sockname")[0]).partition("%")[0]
        return f"[IPv6:{own_address}]" if ":" in own_address else f"[{own_address}]"

    async def _transact(self, mail: FrozenMail, *, utf8: bool) -> str:
        options = [b"SIZE=%d" % len(mail.content)] if self._client.supports_extension("size") else []
        if utf8:
            options += [b"SMTPUTF8", b"BODY=8BITMIME"]
        await self._command(Stage.MAIL, b"MAIL", b"FROM:<%b>" % mail.envelope_from.encode(), *options)
        await self._command(Stage.RCPT, b"RCPT", b"TO:<%b>" % mail.envelope_to.encode())
        await self._command(Stage.DATA, b"DATA", hoped_for=3)
        return one_line(await self._hand_over(mail.content))

    async def _command(self, stage: Stage, *words: bytes, hoped_for: int = 2) -> None:
        """One command and its answer, judged by the first digit (RFC 5321 section 4.2.1)."""
        with _translated(stage):
            reply = await self._client.execute_command(*words)
        if reply.code // 100 != hoped_for:
            raise classify(stage, reply.code, reply.message)

    async def _hand_over(self, content: bytes) -> str:
        """The content and the final dot; silence now leaves us unsure."""
        protocol = self._client.protocol
        if protocol is None:
            raise TransientFailure(Stage.DATA)
        with _translated(Stage.DATA):
            protocol.write(_dotted(content))
        with _translated(Stage.DATA, handed_over=True):
            reply = await protocol.read_response(timeout=self._server.final_reply_seconds)
        if reply.code // 100 != 2:  # noqa: PLR2004 (2yz: taken)
            raise classify(Stage.DATA, reply.code, reply.message, handed_over=True)
        return reply.message

    async def _recover(self, failure: SendingFailed) -> None:
        """Make the session fit for the next mail, or end it."""
        if failure.code in {None, SERVICE_CLOSING}:
            self.abort()
            return
        try:
            await self._command(Stage.MAIL, b"RSET")
        except SendingFailed:
            self.abort()
        except BaseException:
            self.abort()
            raise


def _dotted(content: bytes) -> bytes:
    """The content as it goes over the wire: dots that open a line doubled, and the final one (section 4.5.2)."""
    if b"\r\n." in content or content.startswith(b"."):
        content = (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:]
    return content + b".\r\n"


@contextmanager
def _translated(stage: Stage, *, handed_over: bool = False) -> Iterator[None]:
    """Turn what aiosmtplib and the socket raise into our errors, showing nothing of the original."""
    try:
        yield
    except aiosmtplib.SMTPResponseException as error:
        failure = classify(stage, error.code, error.message, handed_over=handed_over)
    except (aiosmtplib.SMTPException, OSError) as error:
        silent = classify(stage, None, handed_over=handed_over)
        failure = ConfigurationFault(stage) if _is_tls_refusal(error) else silent
    except ValueError:  # a setting or a challenge that aiosmtplib cannot put on the wire
        failure = ConfigurationFault(stage)
    else:
        return
    raise failure from None


def _is_tls_refusal(error: Exception) -> bool:
    """Whether TLS was spoken and came to no agreement, say over a certificate; not a line that was lost."""
    cause = error if isinstance(error, ssl.SSLError) else error.__cause__
    lost = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
    return isinstance(cause, ssl.SSLError) and not isinstance(cause, lost)


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Certificates and host names are checked; TLS 1.2 at least (RFC 8997)."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError:
        raise InvalidInput("/ca_file", "unreadable", "The file of trusted authorities cannot be read.") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
