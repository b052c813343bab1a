"""Sending: frozen bytes through the mailer, and the whole way of a mail."""

import asyncio
import time
from datetime import UTC, datetime
from itertools import count
from uuid import UUID

import aiosmtplib

from benchmarks.figures import Figure, against_floor
from benchmarks.servers import World
from consentflow.dev.temporal import HOST
from consentflow.domain.intake import RegistrationIn
from consentflow.domain.letters import FrozenMail, Language, LetterKind
from consentflow.domain.registrations import Course
from consentflow.mail.smtp import SmtpPool, SmtpServer, TlsMode
from consentflow.worker import IN_HAND

CONNECTIONS = 4
_ids = count()


def _mail(size: int = 20_000) -> FrozenMail:
    """Bytes as large as a notice in two parts."""
    line = b"x" * 74 + b"\r\n"
    content = b"From: a@sender.example\r\nTo: b@reader.example\r\nSubject: x\r\n\r\n" + line * (size // len(line))
    return FrozenMail("<1@sender.example>", "a@sender.example", "b@reader.example", content, Language.ENGLISH, "")


def _pool(port: int) -> SmtpPool:
    return SmtpPool(
        SmtpServer(
            host=HOST,
            port=port,
            username=None,
            password=None,
            tls=TlsMode.OFF,
            connections=CONNECTIONS,
            timeout_seconds=60,
        )
    )


async def bare(port: int, mail: FrozenMail, number: int) -> float:
    """Bare aiosmtplib: so many connections, each sending one mail after the other."""
    left = iter(range(number))

    async def line() -> None:
        async with aiosmtplib.SMTP(hostname=HOST, port=port, start_tls=False) as client:
            for _ in left:
                await client.sendmail(mail.envelope_from, [mail.envelope_to], mail.content)

    begin = time.perf_counter()
    await asyncio.gather(*(line() for _ in range(CONNECTIONS)))
    return number / (time.perf_counter() - begin)


async def mailer(world: World, number: int, rounds: int) -> Figure:
    """Frozen bytes through the mailer, against bare aiosmtplib."""
    mail = _mail()
    async with _pool(world.sink.port) as pool:

        async def ours() -> float:
            begin = time.perf_counter()
            left = iter(range(number))

            async def line() -> None:
                for _ in left:
                    await pool.send(mail)

            await asyncio.gather(*(line() for _ in range(CONNECTIONS)))
            return number / (time.perf_counter() - begin)

        async def floor() -> float:
            return await bare(world.sink.port, mail, number)

        return await against_floor(
            "frozen bytes through the mailer",
            "mails/s",
            0.9,
            "bare aiosmtplib.sendmail on as many connections",
            ours,
            floor,
            rounds=rounds,
        )


async def mail_path(world: World, number: int, rounds: int) -> Figure:
    """Render, freeze, send and record, against bare aiosmtplib sending the very bytes that are made.

    As many mails are in hand as in a worker with so many connections.
    """
    async with world.service(api=False, worker=False) as service, _pool(world.sink.port) as pool:
        sending = service.parts.sending

        async def register() -> str:
            content = {
                "registration_id": f"m-{(n := next(_ids))}",
                "partner_id": "p-1",
                "contact": {"email": f"lead{n}@company{n}.example", "given_name": "Lea", "family_name": "Muster"},
                "country": "DE",
                "registered_at": datetime.now(UTC).isoformat(),
            }
            await service.parts.registrations.register(RegistrationIn.model_validate(content))
            return str(content["registration_id"])

        async def begin_one(registration_id: str) -> tuple[UUID, FrozenMail]:
            due = await sending.begin(registration_id, LetterKind.DOUBLE_OPT_IN)
            assert not isinstance(due, Course)  # noqa: S101 - a fresh registration asks
            assert due.mail  # noqa: S101
            return due.mail_id, due.mail

        async def ours() -> float:
            registered = iter([await register() for _ in range(number)])

            async def line() -> None:
                for registration_id in registered:
                    mail_id, mail = await begin_one(registration_id)
                    await sending.accepted(mail_id, await pool.send(mail))

            begin = time.perf_counter()
            await asyncio.gather(*(line() for _ in range(CONNECTIONS * IN_HAND)))
            return number / (time.perf_counter() - begin)

        _, same = await begin_one(await register())

        async def floor() -> float:
            return await bare(world.sink.port, same, number)

        return await against_floor(
            "the whole mail path: render, freeze, send, record",
            "mails/s",
            0.4,
            "bare aiosmtplib.sendmail on as many connections",
            ours,
            floor,
            rounds=rounds,
        )
