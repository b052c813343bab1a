"""The servers that the sending tests talk to: one that answers by script, and aiosmtpd as a plain sink."""

import asyncio
import ssl
import subprocess
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

LOOPBACK = "127.0.0.1"
USUAL_ANSWERS = {
    "GREETING": "220 scripted.test ESMTP",
    "STARTTLS": "220 2.0.0 go ahead",
    "AUTH": "235 2.7.0 welcome",
    "DATA": "354 go ahead",
    "CONTENT": "250 2.0.0 queued",
    "QUIT": "221 2.0.0 bye",
}


class _LineDropped(Exception):
    pass


@dataclass
class Dialogue:
    """One connection as the server saw it."""

    commands: list[str] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list)
    encrypted: bool = False
    closed: bool = False


class ScriptedSmtp:
    """An SMTP server that says yes unless its script says otherwise.

    A script names, for each step (``GREETING``, a command's verb, or ``CONTENT``), the answers to give one
    after the other: a reply, ``drop`` (close the line), ``hang`` (stay silent until the client leaves) or
    ``wait`` (for ``go_on``, then as usual). An empty answer stands for the usual one.
    """

    def __init__(self, extensions: tuple[str, ...], tls: ssl.SSLContext | None, *, implicit: bool) -> None:
        self.port = 0
        self.dialogues: list[Dialogue] = []
        self.most_open = 0
        self.go_on = asyncio.Event()
        self._answers: dict[str, deque[str]] = defaultdict(deque)
        self._extensions = extensions
        self._tls = tls
        self._implicit = implicit
        self._writers: dict[int, asyncio.StreamWriter] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def script(self, step: str, *answers: str) -> None:
        self._answers[step].extend(answers)

    def hang_up(self) -> None:
        """Close every open line, saying nothing."""
        for writer in self._writers.values():
            writer.close()

    @property
    def open_lines(self) -> int:
        return len(self._writers)

    @property
    def contents(self) -> list[bytes]:
        return [content for dialogue in self.dialogues for content in dialogue.contents]

    @asynccontextmanager
    async def running(self) -> AsyncIterator["ScriptedSmtp"]:
        server = await asyncio.start_server(
            self._welcome, LOOPBACK, 0, limit=2**20, ssl=self._tls if self._implicit else None
        )
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await server.wait_closed()

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        dialogue = Dialogue(encrypted=self._implicit)
        self.dialogues.append(dialogue)
        self._writers[id(dialogue)] = writer
        self.most_open = max(self.most_open, self.open_lines)
        try:
            await self._converse(dialogue, reader, writer)
        except (OSError, _LineDropped, asyncio.IncompleteReadError):
            pass
        finally:
            dialogue.closed = True
            del self._writers[id(dialogue)]
            writer.close()

    async def _converse(self, dialogue: Dialogue, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._answer("GREETING", reader, writer)
        while line := (await reader.readline()).decode():
            dialogue.commands.append(line.rstrip("\r\n"))
            verb = line.split()[0].upper()
            usual = self._hello(dialogue) if verb == "EHLO" else None
            reply = await self._answer(verb, reader, writer, usual)
            if verb == "STARTTLS" and reply.startswith("220"):
                assert self._tls is not None
                await writer.start_tls(self._tls)
                dialogue.encrypted = True
            elif verb == "DATA" and reply.startswith("354"):
                dialogue.contents.append(_undotted(await reader.readuntil(b"\r\n.\r\n")))
                await self._answer("CONTENT", reader, writer)
            elif verb == "QUIT":
                return

    async def _answer(
        self,
        step: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        usual: str | None = None,
    ) -> str:
        queue = self._answers[step]
        reply = queue.popleft() if queue else ""
        if reply == "wait":
            await self.go_on.wait()
        if reply in {"", "wait"}:
            reply = usual or USUAL_ANSWERS.get(step, "250 2.0.0 fine")
        if reply == "hang":
            await reader.read()
        if reply in {"drop", "hang"}:
            raise _LineDropped
        writer.write(f"{reply}\r\n".encode())
        await writer.drain()
        return reply

    def _hello(self, dialogue: Dialogue) -> str:
        offered = [*self._extensions]
        if self._tls is not None and not dialogue.encrypted:
            offered.append("STARTTLS")
        lines = ["scripted.test", *offered]
        return "\r\n".join([*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}"])


def _undotted(raw: bytes) -> bytes:
    """The content as it was before its dots were doubled (RFC 5321 section 4.5.2)."""
    return b"".join(line.removeprefix(b".") for line in raw.removesuffix(b".\r\n").splitlines(keepends=True))


@dataclass(frozen=True)
class Taken:
    """A mail as the sink got it."""

    sender: str
    recipients: list[str]
    content: bytes
    options: list[str]


@dataclass
class Sink:
    """aiosmtpd, taking everything."""

    port: int = 0
    taken: list[Taken] = field(default_factory=list)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: ARG002, N802
        """Take a mail (the name and the arguments are aiosmtpd's)."""
        assert isinstance(envelope.content, bytes)
        self.taken.append(
            Taken(
                envelope.mail_from or "",
                [str(recipient) for recipient in envelope.rcpt_tos],
                envelope.content,
                [str(option) for option in envelope.mail_options],
            )
        )
        return "250 2.0.0 taken by the sink"


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate for 127.0.0.1, its own authority."""

    file: Path
    key_file: Path

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file, self.key_file)
        return context


MakeServer = Callable[..., Awaitable[ScriptedSmtp]]
MakeCertificate = Callable[[str], Certificate]


@pytest.fixture
async def scripted() -> AsyncIterator[MakeServer]:
    """Start scripted servers; they end with the test."""
    async with AsyncExitStack() as stack:

        async def start(
            *extensions: str, tls: ssl.SSLContext | None = None, implicit: bool = False, **steps: str
        ) -> ScriptedSmtp:
            server = ScriptedSmtp(extensions, tls, implicit=implicit)
            for step, reply in steps.items():
                server.script(step, reply)
            return await stack.enter_async_context(server.running())

        yield start


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    """An aiosmtpd server that keeps what it gets."""
    sink = Sink()
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(sink, hostname="sink.test", enable_SMTPUTF8=True), LOOPBACK, 0
    )
    sink.port = server.sockets[0].getsockname()[1]
    yield sink
    server.close()
    await server.wait_closed()


@pytest.fixture(scope="session")
def make_certificate(tmp_path_factory: pytest.TempPathFactory) -> MakeCertificate:
    """Certificates for a subject alternative name such as ``IP:127.0.0.1``, made by the openssl command."""

    def make(alternative_name: str) -> Certificate:
        folder = tmp_path_factory.mktemp("certificate")
        made = Certificate(folder / "certificate.pem", folder / "key.pem")
        key = f"-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {made.key_file}"
        names = f"-subj /CN=scripted -addext subjectAltName={alternative_name}"
        command = f"openssl req -x509 -days 2 {key} {names} -out {made.file}"
        subprocess.run(command.split(), check=True, capture_output=True)
        return made

    return make


@pytest.fixture(scope="session")
def certificate(make_certificate: MakeCertificate) -> Certificate:
    """The certificate of the scripted server's address."""
    return make_certificate(f"IP:{LOOPBACK}")
