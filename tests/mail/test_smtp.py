"""Sending: what reaches the server, what its answers become, and how connections are kept."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import pytest

from consentflow.domain.errors import (
    ConfigurationFault,
    InvalidInput,
    OutcomeUnsure,
    RecipientRefused,
    SendingFailed,
    TransientFailure,
)
from consentflow.domain.letters import FrozenMail, Language
from consentflow.mail.message import Rendered, Sender, freeze
from consentflow.mail.smtp import SmtpPool, SmtpServer, TlsMode

if TYPE_CHECKING:
    from tests.mail.conftest import Certificate, MakeCertificate, MakeServer, Sink

LOOPBACK = "127.0.0.1"
MAIL = FrozenMail(
    message_id="<1@vendor.test>",
    envelope_from="b-1@bounces.vendor.test",
    envelope_to="jane@lead.test",
    content=b"Subject: hello\r\n\r\n.\r\n..\r\n.dotted\r\ntext\r\n",
    language=Language.ENGLISH,
    text_version="0" * 64,
)
UTF8_MAIL = replace(MAIL, envelope_to="jörg@lead.test")


class Changes(TypedDict, total=False):
    username: str | None
    password: str | None
    tls: TlsMode
    ca_file: Path | None
    hello_name: str | None
    connections: int
    mails_per_connection: int
    idle_seconds: float
    timeout_seconds: float
    final_reply_seconds: float


def pool(port: int, **changes: Unpack[Changes]) -> SmtpPool:
    server = SmtpServer(LOOPBACK, port, tls=TlsMode.OFF, connections=1, timeout_seconds=5.0)
    return SmtpPool(replace(server, **changes))


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition; ten seconds are more than any of them needs."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


async def failure_of(sending: SmtpPool, mail: FrozenMail = MAIL) -> SendingFailed:
    with pytest.raises(SendingFailed) as failed:
        await sending.send(mail)
    return failed.value


# What reaches the server.


@pytest.mark.parametrize("recipient", ["jane@lead.test", "jörg@lead.test"])
async def test_the_sink_gets_exactly_the_frozen_bytes(sink: "Sink", recipient: str) -> None:
    rendered = Rendered("Grüße", "Guten Tag\n.\n..\n" + "ä" * 3000, "<p>Grüße</p>" * 900, "0" * 64)
    mail = freeze(
        rendered,
        sender=Sender("Vendor", "privacy@vendor.test", None, "bounces.vendor.test", "vendor.test"),
        recipient=recipient,
        recipient_name="Jörg Doe",
        key="k",
        language=Language.GERMAN,
        written_at=datetime(2026, 11, 22, tzinfo=UTC),
        unsubscribe_url="https://vendor.test/u/1",
    )

    async with pool(sink.port) as sending:
        reply = await sending.send(mail)

    (taken,) = sink.taken
    assert taken.content == mail.content
    assert (taken.sender, taken.recipients) == (mail.envelope_from, [recipient])
    assert ("SMTPUTF8" in taken.options) is (not recipient.isascii())
    assert reply == "2.0.0 taken by the sink"


async def test_lines_that_open_with_a_dot_arrive_as_they_were(scripted: "MakeServer") -> None:
    server = await scripted()

    async with pool(server.port) as sending:
        await sending.send(MAIL)

    assert server.contents == [MAIL.content]


async def test_the_reply_comes_back_as_one_line(scripted: "MakeServer") -> None:
    server = await scripted(CONTENT="250-2.0.0 queued\r\n250 as\t\x1b42 " + "x" * 300)

    async with pool(server.port) as sending:
        reply = await sending.send(MAIL)

    assert reply.startswith("2.0.0 queued as 42 xxx")
    assert len(reply) == 200


async def test_the_commands_are_the_plain_ones_in_their_order(scripted: "MakeServer") -> None:
    server = await scripted("SIZE 1000000")

    async with pool(server.port) as sending:
        await sending.send(MAIL)

    assert server.dialogues[0].commands == [
        "EHLO [127.0.0.1]",
        f"MAIL FROM:<b-1@bounces.vendor.test> SIZE={len(MAIL.content)}",
        "RCPT TO:<jane@lead.test>",
        "DATA",
        "QUIT",
    ]


async def test_we_greet_by_the_name_we_are_given(scripted: "MakeServer") -> None:
    server = await scripted()

    async with pool(server.port, hello_name="mail.vendor.test") as sending:
        await sending.send(MAIL)

    assert server.dialogues[0].commands[0] == "EHLO mail.vendor.test"


@pytest.mark.parametrize(
    "mail",
    [
        replace(MAIL, envelope_to="a@b.de NOTIFY=NEVER"),
        replace(MAIL, envelope_to="a@b.de\r\nRCPT TO:<x@y.de>"),
        replace(MAIL, envelope_to="<a@b.de>"),
        replace(MAIL, envelope_to=""),
        replace(MAIL, envelope_from="a@b.de> SIZE=1"),
        replace(MAIL, envelope_from="jörg@b.de"),
        replace(MAIL, content=b"Subject: x\r\n\r\nsmuggled\n.\nMAIL FROM:<x@y.de>\r\n"),
        replace(MAIL, content=b"Subject: x\r\n\r\nsmuggled\r.\r\n"),
        replace(MAIL, content=b"Subject: x\r\n\r\nno end"),
        replace(MAIL, content=b"Subject: x\r\n\r\n" + b"x" * 999 + b"\r\n"),
        replace(MAIL, content=b""),
    ],
)
async def test_what_could_say_more_than_itself_is_refused_before_any_connection(
    scripted: "MakeServer", mail: FrozenMail
) -> None:
    server = await scripted()

    async with pool(server.port) as sending:
        with pytest.raises(InvalidInput):
            await sending.send(mail)

    assert server.dialogues == []


# What the server's answers become.


@pytest.mark.parametrize(
    ("step", "answer", "expected", "stage"),
    [
        ("GREETING", "554 5.7.1 go away", ConfigurationFault, "connect"),
        ("GREETING", "421 4.3.2 busy", TransientFailure, "connect"),
        ("GREETING", "drop", TransientFailure, "connect"),
        ("GREETING", "nonsense", TransientFailure, "connect"),
        ("EHLO", "550 5.7.1 not you", ConfigurationFault, "connect"),
        ("EHLO", "421 4.3.2 busy", TransientFailure, "connect"),
        ("EHLO", "drop", TransientFailure, "connect"),
        ("MAIL", "550 5.1.8 unknown sender", ConfigurationFault, "mail"),
        ("MAIL", "451 4.3.0 later", TransientFailure, "mail"),
        ("MAIL", "drop", TransientFailure, "mail"),
        ("RCPT", "550 5.1.1 unknown", RecipientRefused, "rcpt"),
        ("RCPT", "550 5.7.1 relaying denied", ConfigurationFault, "rcpt"),
        ("RCPT", "450 4.2.0 greylisted", TransientFailure, "rcpt"),
        ("RCPT", "421 4.7.0 too many", TransientFailure, "rcpt"),
        ("RCPT", "drop", TransientFailure, "rcpt"),
        ("DATA", "451 4.3.0 later", TransientFailure, "data"),
        ("DATA", "554 5.5.1 no", ConfigurationFault, "data"),
        ("DATA", "250 what", TransientFailure, "data"),
        ("DATA", "drop", TransientFailure, "data"),
        ("CONTENT", "554 5.6.0 content rejected", ConfigurationFault, "data"),
        ("CONTENT", "550 5.1.1 unknown after all", RecipientRefused, "data"),
        ("CONTENT", "451 4.3.0 later", TransientFailure, "data"),
        ("CONTENT", "421 4.3.2 shutting down", TransientFailure, "data"),
        ("CONTENT", "drop", OutcomeUnsure, "data"),
        ("CONTENT", "nonsense", OutcomeUnsure, "data"),
    ],
)
async def test_an_answer_becomes_the_failure_it_stands_for(
    scripted: "MakeServer", step: str, answer: str, expected: type[SendingFailed], stage: str
) -> None:
    server = await scripted(**{step: answer})

    async with pool(server.port) as sending:
        failure = await failure_of(sending)
        assert await sending.send(MAIL) == "2.0.0 queued"  # and the pool lives on

    assert type(failure) is expected
    assert failure.stage == stage


@pytest.mark.parametrize(
    ("step", "expected", "stage"),
    [
        ("GREETING", TransientFailure, "connect"),
        ("EHLO", TransientFailure, "connect"),
        ("MAIL", TransientFailure, "mail"),
        ("RCPT", TransientFailure, "rcpt"),
        ("DATA", TransientFailure, "data"),
        ("CONTENT", OutcomeUnsure, "data"),
    ],
)
async def test_silence_before_the_content_is_transient_and_after_it_unsure(
    scripted: "MakeServer", step: str, expected: type[SendingFailed], stage: str
) -> None:
    server = await scripted(**{step: "hang"})

    async with pool(server.port, timeout_seconds=0.5, final_reply_seconds=0.5) as sending:
        failure = await failure_of(sending)

    assert type(failure) is expected
    assert (failure.stage, failure.code) == (stage, None)


async def test_a_server_that_is_not_there_is_a_transient_failure() -> None:
    listening = await asyncio.start_server(lambda _reader, _writer: None, LOOPBACK, 0)
    port = listening.sockets[0].getsockname()[1]
    listening.close()
    await listening.wait_closed()

    async with pool(port) as sending:
        failure = await failure_of(sending)

    assert type(failure) is TransientFailure
    assert failure.stage == "connect"


@pytest.mark.parametrize("step", ["GREETING", "MAIL", "RCPT", "CONTENT"])
async def test_a_failure_shows_nobodys_address(scripted: "MakeServer", step: str) -> None:
    server = await scripted(**{step: "550 5.1.1 <jane@lead.test> unknown"})

    async with pool(server.port) as sending:
        failure = await failure_of(sending)

    assert "jane" not in f"{failure!s} {failure!r} {failure.__cause__!r}"
    assert failure.__suppress_context__ or failure.__context__ is None


async def test_a_recipient_who_needs_smtputf8_is_refused_where_there_is_none(scripted: "MakeServer") -> None:
    server = await scripted()

    async with pool(server.port) as sending:
        failure = await failure_of(sending, UTF8_MAIL)
        await sending.send(MAIL)

    assert type(failure) is RecipientRefused
    assert len(server.dialogues) == 1
    assert [command for command in server.dialogues[0].commands if "lead.test" in command] == [
        "RCPT TO:<jane@lead.test>"
    ]


async def test_smtputf8_is_asked_for_where_the_recipient_needs_it(scripted: "MakeServer") -> None:
    server = await scripted("8BITMIME", "SMTPUTF8")

    async with pool(server.port) as sending:
        await sending.send(UTF8_MAIL)

    assert server.dialogues[0].commands[1:3] == [
        "MAIL FROM:<b-1@bounces.vendor.test> SMTPUTF8 BODY=8BITMIME",
        "RCPT TO:<jörg@lead.test>",
    ]


# Protection and login.


@pytest.mark.parametrize("mode", [TlsMode.REQUIRED, TlsMode.IMPLICIT])
async def test_mails_go_out_encrypted_to_a_server_with_a_good_certificate(
    scripted: "MakeServer", certificate: "Certificate", mode: TlsMode
) -> None:
    server = await scripted(tls=certificate.server_context(), implicit=mode is TlsMode.IMPLICIT)

    async with pool(server.port, tls=mode, ca_file=certificate.file) as sending:
        await sending.send(MAIL)
        await sending.send(MAIL)

    (dialogue,) = server.dialogues
    assert dialogue.encrypted
    assert dialogue.contents == [MAIL.content] * 2


async def test_nothing_is_sent_in_clear_where_tls_is_required(scripted: "MakeServer") -> None:
    server = await scripted("AUTH PLAIN")

    async with pool(server.port, tls=TlsMode.REQUIRED, username="u", password="p") as sending:
        failure = await failure_of(sending)

    assert type(failure) is ConfigurationFault
    assert server.dialogues[0].commands == ["EHLO [127.0.0.1]", "QUIT"]


async def test_a_refused_starttls_sends_nothing_in_clear(scripted: "MakeServer", certificate: "Certificate") -> None:
    server = await scripted(tls=certificate.server_context(), STARTTLS="454 4.7.0 not now")

    async with pool(server.port, tls=TlsMode.REQUIRED, ca_file=certificate.file) as sending:
        failure = await failure_of(sending)

    assert type(failure) is TransientFailure
    assert server.dialogues[0].commands == ["EHLO [127.0.0.1]", "STARTTLS", "QUIT"]


@pytest.mark.parametrize("mode", [TlsMode.REQUIRED, TlsMode.IMPLICIT])
@pytest.mark.parametrize("flaw", ["unknown authority", "other host"])
async def test_a_certificate_that_proves_nothing_is_our_fault_to_mend(
    scripted: "MakeServer",
    certificate: "Certificate",
    make_certificate: "MakeCertificate",
    mode: TlsMode,
    flaw: str,
) -> None:
    bad = make_certificate("DNS:elsewhere.test" if flaw == "other host" else f"IP:{LOOPBACK}")
    trusted = bad if flaw == "other host" else certificate
    server = await scripted(tls=bad.server_context(), implicit=mode is TlsMode.IMPLICIT)

    async with pool(server.port, tls=mode, ca_file=trusted.file) as sending:
        failure = await failure_of(sending)

    assert type(failure) is ConfigurationFault
    assert failure.stage == "connect"
    assert not any(command.startswith("MAIL") for line in server.dialogues for command in line.commands)


async def test_implicit_tls_on_a_port_without_it_is_our_fault_to_mend(
    scripted: "MakeServer", certificate: "Certificate"
) -> None:
    server = await scripted()

    async with pool(server.port, tls=TlsMode.IMPLICIT, ca_file=certificate.file) as sending:
        failure = await failure_of(sending)

    assert type(failure) is ConfigurationFault


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_authorities_that_cannot_be_read_are_told_at_once(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "authorities.pem"
    if content is not None:
        file.write_text(content)

    with pytest.raises(InvalidInput) as refused:
        pool(25, tls=TlsMode.REQUIRED, ca_file=file)

    assert refused.value.pointer == "/ca_file"


async def test_it_logs_in_once_per_connection(scripted: "MakeServer") -> None:
    server = await scripted("AUTH PLAIN")

    async with pool(server.port, username="u", password="p") as sending:
        await sending.send(MAIL)
        await sending.send(MAIL)

    commands = [command.split()[0] for command in server.dialogues[0].commands]
    assert commands == ["EHLO", "AUTH", "MAIL", "RCPT", "DATA", "MAIL", "RCPT", "DATA", "QUIT"]


@pytest.mark.parametrize("answer", ["535 5.7.8 wrong", "530 5.7.0 no", "554 5.7.0 no"])
async def test_a_refused_login_is_our_fault_to_mend(scripted: "MakeServer", answer: str) -> None:
    server = await scripted("AUTH PLAIN", AUTH=answer)

    async with pool(server.port, username="u", password="secret") as sending:
        failure = await failure_of(sending)

    assert type(failure) is ConfigurationFault
    assert failure.stage == "auth"


@pytest.mark.parametrize("extensions", [(), ("AUTH EXOTIC",)])
async def test_a_login_that_the_server_cannot_take_is_our_fault_to_mend(
    scripted: "MakeServer", extensions: tuple[str, ...]
) -> None:
    server = await scripted(*extensions)

    async with pool(server.port, username="u", password="p") as sending:
        failure = await failure_of(sending)

    assert type(failure) is ConfigurationFault
    assert (failure.stage, server.contents) == ("auth", [])


async def test_a_greeting_name_that_cannot_be_sent_is_our_fault_to_mend(scripted: "MakeServer") -> None:
    server = await scripted()

    async with pool(server.port, hello_name="two words") as sending:
        failure = await failure_of(sending)

    assert type(failure) is ConfigurationFault


def test_a_servers_description_hides_its_password() -> None:
    assert "secret" not in repr(SmtpServer(LOOPBACK, 25, username="u", password="secret"))


# How connections are kept.


async def test_many_mails_share_few_connections(scripted: "MakeServer") -> None:
    server = await scripted()
    mails = [replace(MAIL, content=b"Subject: %d\r\n\r\n.\r\n" % number) for number in range(50)]

    async with pool(server.port, connections=3) as sending:
        await asyncio.gather(*map(sending.send, mails))

    assert sorted(server.contents) == sorted(mail.content for mail in mails)
    assert server.most_open == len(server.dialogues) == 3
    assert all(dialogue.commands[-1] == "QUIT" for dialogue in server.dialogues)


async def test_one_mail_at_a_time_needs_one_connection(scripted: "MakeServer") -> None:
    server = await scripted()

    async with pool(server.port, connections=3) as sending:
        for _ in range(5):
            await sending.send(MAIL)

    assert len(server.dialogues) == 1


async def test_nothing_connects_before_the_first_mail(scripted: "MakeServer") -> None:
    server = await scripted()

    async with pool(server.port):
        await asyncio.sleep(0)

    assert server.dialogues == []


async def test_a_connection_is_replaced_after_its_share_of_mails(scripted: "MakeServer") -> None:
    server = await scripted()

    async with pool(server.port, connections=2, mails_per_connection=2) as sending:
        await asyncio.gather(*[sending.send(MAIL) for _ in range(10)])

    assert {len(dialogue.contents) for dialogue in server.dialogues} <= {1, 2}
    assert (len(server.contents), server.most_open) == (10, 2)
    assert all(dialogue.commands[-1] == "QUIT" for dialogue in server.dialogues)


async def test_an_idle_connection_is_closed_and_the_next_mail_opens_another(scripted: "MakeServer") -> None:
    server = await scripted()

    async with pool(server.port, idle_seconds=0.01) as sending:
        await sending.send(MAIL)
        await until(lambda: server.dialogues[0].closed)
        await sending.send(MAIL)

    assert server.dialogues[0].commands[-1] == "QUIT"
    assert [len(dialogue.contents) for dialogue in server.dialogues] == [1, 1]


async def test_a_server_that_ignores_quit_holds_up_nothing_but_its_own_lane(scripted: "MakeServer") -> None:
    server = await scripted(QUIT="hang")

    async with pool(server.port, mails_per_connection=1, timeout_seconds=0.5) as sending:
        await sending.send(MAIL)
        await sending.send(MAIL)

    assert (len(server.dialogues), server.most_open) == (2, 1)
    await until(lambda: server.open_lines == 0)


async def test_a_connection_that_the_server_closed_while_idle_is_replaced(scripted: "MakeServer") -> None:
    server = await scripted()

    async with pool(server.port) as sending:
        await sending.send(MAIL)
        server.hang_up()
        await sending.send(MAIL)

    assert [len(dialogue.contents) for dialogue in server.dialogues] == [1, 1]


@pytest.mark.parametrize("answer", ["drop", "hang", "421 4.4.2 idle too long"])
@pytest.mark.parametrize("step", ["MAIL", "RCPT"])
async def test_a_kept_connection_found_dead_is_replaced_and_the_mail_tried_again(
    scripted: "MakeServer", step: str, answer: str
) -> None:
    server = await scripted()
    server.script(step, "", answer)

    async with pool(server.port, timeout_seconds=0.5) as sending:
        await sending.send(MAIL)
        assert await sending.send(MAIL) == "2.0.0 queued"

    assert [len(dialogue.contents) for dialogue in server.dialogues] == [1, 1]


async def test_the_mail_is_tried_again_once_only(scripted: "MakeServer") -> None:
    server = await scripted()
    server.script("MAIL", "", "drop", "drop")

    async with pool(server.port) as sending:
        await sending.send(MAIL)
        failure = await failure_of(sending)

    assert type(failure) is TransientFailure
    assert len(server.dialogues) == 2


@pytest.mark.parametrize("step", ["DATA", "CONTENT"])
async def test_a_mail_is_not_tried_again_once_it_came_to_the_content(scripted: "MakeServer", step: str) -> None:
    server = await scripted()
    server.script(step, "", "drop")

    async with pool(server.port) as sending:
        await sending.send(MAIL)
        await failure_of(sending)

    assert len(server.dialogues) == 1


@pytest.mark.parametrize(
    ("step", "answer"),
    [
        ("MAIL", "451 4.3.0 later"),
        ("RCPT", "550 5.1.1 unknown"),
        ("RCPT", "450 4.2.0 greylisted"),
        ("DATA", "451 4.3.0 later"),
        ("CONTENT", "554 5.6.0 rejected"),
    ],
)
async def test_after_a_refusal_the_session_is_reset_and_lives_on(
    scripted: "MakeServer", step: str, answer: str
) -> None:
    server = await scripted(**{step: answer})

    async with pool(server.port) as sending:
        await failure_of(sending)
        await sending.send(MAIL)

    (dialogue,) = server.dialogues
    commands = [command.split()[0] for command in dialogue.commands]
    assert commands[-5:] == ["RSET", "MAIL", "RCPT", "DATA", "QUIT"]


@pytest.mark.parametrize("answer", ["drop", "500 5.5.1 what", "421 4.3.2 bye", "hang"])
async def test_a_session_that_cannot_be_reset_is_replaced(scripted: "MakeServer", answer: str) -> None:
    server = await scripted(RCPT="550 5.1.1 unknown", RSET=answer)

    async with pool(server.port, timeout_seconds=0.5) as sending:
        failure = await failure_of(sending)
        await sending.send(MAIL)

    assert type(failure) is RecipientRefused
    assert [len(dialogue.contents) for dialogue in server.dialogues] == [0, 1]


@pytest.mark.parametrize("step", ["GREETING", "EHLO", "MAIL", "RCPT", "RSET", "DATA", "CONTENT"])
async def test_a_cancelled_mail_takes_its_connection_with_it(scripted: "MakeServer", step: str) -> None:
    server = await scripted(**{step: "hang"})
    if step == "RSET":
        server.script("RCPT", "550 5.1.1 unknown")

    async with pool(server.port) as sending:
        task = asyncio.create_task(sending.send(MAIL))
        await until(lambda: len(server.dialogues) == 1 and _reached(server.dialogues[0].commands, step))
        # On 3.11 wait_for swallows a cancellation that comes in the very turn of the loop in which it succeeds.
        for _ in range(20):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: server.open_lines == 0)
        await sending.send(MAIL)

    assert [len(dialogue.contents) for dialogue in server.dialogues] == [1 if step == "CONTENT" else 0, 1]


def _reached(commands: list[str], step: str) -> bool:
    verb = {"GREETING": None, "CONTENT": "DATA"}.get(step, step)
    return verb is None or any(command.startswith(verb) for command in commands)


async def test_a_mail_cancelled_while_it_waits_takes_no_lane_with_it(scripted: "MakeServer") -> None:
    server = await scripted(MAIL="hang")

    async with pool(server.port) as sending:
        first = asyncio.create_task(sending.send(MAIL))
        await until(lambda: len(server.dialogues) == 1)
        waiting = asyncio.create_task(sending.send(MAIL))
        await asyncio.sleep(0)
        waiting.cancel()
        first.cancel()
        await asyncio.gather(first, waiting, return_exceptions=True)
        await sending.send(MAIL)

    assert server.contents == [MAIL.content]


async def test_closing_lets_the_mail_under_way_finish_and_fails_those_that_wait(
    scripted: "MakeServer",
) -> None:
    server = await scripted(CONTENT="wait")
    sending = pool(server.port)
    under_way = asyncio.create_task(sending.send(MAIL))
    waiting = [asyncio.create_task(sending.send(MAIL)) for _ in range(3)]
    await until(lambda: len(server.contents) == 1)

    closing = asyncio.create_task(sending.close())
    await asyncio.sleep(0)
    assert not closing.done()
    server.go_on.set()
    await closing

    assert await under_way == "2.0.0 queued"
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {TransientFailure}
    assert server.dialogues[0].commands[-1] == "QUIT"
    assert server.open_lines == 0


async def test_a_closed_pool_sends_nothing_and_can_be_closed_again(scripted: "MakeServer") -> None:
    server = await scripted()
    sending = pool(server.port)
    await sending.close()
    await sending.close()

    assert type(await failure_of(sending)) is TransientFailure
    assert server.dialogues == []


async def test_a_cancelled_close_leaves_no_connection_open(scripted: "MakeServer") -> None:
    server = await scripted(QUIT="hang")
    sending = pool(server.port)
    await sending.send(MAIL)
    closing = asyncio.create_task(sending.close())
    await until(lambda: server.dialogues[0].commands[-1] == "QUIT")

    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing

    await until(lambda: server.open_lines == 0)
