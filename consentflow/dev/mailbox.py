"""The mail sink: every mail the service sends lands in a Maildir and shows on a page."""

import email
import email.policy
import mailbox
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, PlainTextResponse

from consentflow.dev.temporal import HOST, free_port
from consentflow.domain.letters import Language

router = APIRouter(prefix="/dev/mailbox", include_in_schema=False)


class _IntoMaildir:
    """Keeps what arrives, byte for byte, behind the Return-Path that final delivery adds (RFC 5321 section 4.4)."""

    def __init__(self, folder: Path) -> None:
        self._maildir = mailbox.Maildir(folder, create=True)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802, ARG002 - aiosmtpd's name and signature
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        self._maildir.add(f"Return-Path: <{envelope.mail_from}>\r\n".encode() + content)
        return "250 2.0.0 kept"


@asynccontextmanager
async def mail_sink(folder: Path) -> AsyncIterator[int]:
    """Takes mail on a loopback port, which it yields, and keeps it in the Maildir `folder`."""
    controller = Controller(_IntoMaildir(folder), hostname=HOST, port=free_port(), enable_SMTPUTF8=True)
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


@router.get("")
async def inbox(request: Request) -> HTMLResponse:
    """All mails, newest first."""
    mails = sorted(_maildir(request).items(), key=lambda item: item[1].get_date(), reverse=True)
    rows = [{"key": key, **_summary(_parse(message.as_bytes()))} for key, message in mails]
    return _render(request, "mailbox.html", mails=rows)


@router.get("/{key}")
async def mail(request: Request, key: str) -> HTMLResponse:
    """One mail: its headers, its plain text, its HTML in a frame."""
    message = _find(request, key)
    return _render(
        request,
        "mailbox_mail.html",
        key=key,
        **_summary(message),
        headers=[(name, str(value)) for name, value in message.items()],
        text=_part(message, "plain"),
    )


@router.get("/{key}/html")
async def html(request: Request, key: str) -> HTMLResponse:
    """The HTML part as a mail client would show it: no script, nothing loaded from elsewhere."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; sandbox allow-top-navigation-by-user-activation"
    shown = _part(_find(request, key), "html").replace("<head>", '<head><base target="_top">', 1)  # out of the frame
    return HTMLResponse(shown, headers={"Content-Security-Policy": policy})


@router.get("/{key}/source")
async def source(request: Request, key: str) -> PlainTextResponse:
    """The bytes as they arrived."""
    return PlainTextResponse(_find(request, key).as_bytes().decode("utf-8", "replace"))


def _maildir(request: Request) -> mailbox.Maildir:
    return mailbox.Maildir(request.app.state.maildir, create=False)


def _find(request: Request, key: str) -> EmailMessage:
    message = _maildir(request).get(key)
    if message is None:
        raise HTTPException(404)
    return _parse(message.as_bytes())


def _parse(content: bytes) -> EmailMessage:
    return email.message_from_bytes(content, _class=EmailMessage, policy=email.policy.default)


def _summary(message: EmailMessage) -> dict[str, str]:
    return {"to": str(message["To"]), "subject": str(message["Subject"]), "date": str(message["Date"])}


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    return str(part.get_content()) if part else ""


def _render(request: Request, template: str, **context: object) -> HTMLResponse:
    page = request.app.state.pages.render(
        template,
        Language.ENGLISH,
        controller=request.app.state.parts.settings.controller.as_controller(),
        **context,
    )
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'self'; frame-src 'self'"}
    return HTMLResponse(page, headers=headers)
