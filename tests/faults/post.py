"""A mail server in a process of its own that behaves as a file tells it. Run as ``python post.py PORT FOLDER``.

``FOLDER/manner`` holds one word, read anew for every mail:

=============  ====================================================================================
normal         takes it
busy           421 to MAIL
full           452 to MAIL: its disk is full
greylisting    450 to RCPT
hanging        never answers RCPT
hanging_after  keeps the mail and never answers
dropping       keeps the mail and drops the line instead of an answer
flaky          as ``dropping`` for every twentieth mail, else ``normal``
slow           takes it after a while
=============  ====================================================================================

Every mail that it has whole is a line of JSON in ``FOLDER/mails``, written before the answer.
"""

import asyncio
import json
import os
import sys
from functools import partial
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

FLAKY_EVERY = 20
SLOWLY_SECONDS = 1.5


class PostOffice:
    """Takes or refuses mail as it is told."""

    def __init__(self, folder: Path) -> None:
        self._manner = folder / "manner"
        self._mails = os.open(folder / "mails", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._taken = 0

    @property
    def manner(self) -> str:
        return self._manner.read_text().strip()

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's names
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        del server, session
        if self.manner == "busy":
            return "421 4.3.2 too busy, come back later"
        if self.manner == "full":
            return "452 4.3.1 insufficient system storage"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 fine"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        del server, session, options
        if self.manner == "greylisting":
            return "450 4.2.0 greylisted, come back later"
        if self.manner == "hanging":
            await asyncio.Event().wait()
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 fine"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        del session
        assert isinstance(envelope.content, bytes)
        mail = {"to": envelope.rcpt_tos[0], "content": envelope.content.decode("latin-1")}
        os.write(self._mails, json.dumps(mail).encode() + b"\n")
        self._taken += 1
        match self.manner:
            case "hanging_after":
                await asyncio.Event().wait()
            case "dropping":
                _drop_the_line(server)
            case "flaky" if self._taken % FLAKY_EVERY == 0:
                _drop_the_line(server)
            case "slow":
                await asyncio.sleep(SLOWLY_SECONDS)
        return "250 2.0.0 kept"


def _drop_the_line(server: SMTP) -> None:
    assert isinstance(server.transport, asyncio.Transport)
    server.transport.abort()


async def serve(port: int, folder: Path) -> None:
    office = PostOffice(folder)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(partial(SMTP, office, hostname="post.example"), "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
