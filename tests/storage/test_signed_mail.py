"""A mail as it is frozen when a DKIM key is set, and the command that takes what comes back."""

import os
import subprocess
import sys
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from consentflow.domain.intake import RegistrationIn
from consentflow.domain.letters import FrozenMail, LetterKind
from consentflow.domain.registrations import Course, State
from consentflow.runtime import Parts
from tests.conftest import CONTROLLER, HandClock, make_settings

MAIL = {"from": "privacy@controller.example", "bounce_domain": "bounces.controller.example"}


async def frozen(parts: Parts) -> FrozenMail:
    request = {"registration_id": "r-1", "partner_id": "p", "contact": {"email": "lea@firma.example"}, "country": "DE"}
    await parts.registrations.register(RegistrationIn.model_validate(request))
    due = await parts.sending.begin("r-1", LetterKind.DOUBLE_OPT_IN)
    assert not isinstance(due, Course)
    assert due.mail
    await parts.sending.accepted(due.mail_id, "2.0.0 taken")
    return due.mail


@pytest.mark.parametrize("flip", [False, True])
async def test_with_a_key_the_bytes_that_are_frozen_are_the_signed_ones(
    database_url: str, clock: HandClock, tmp_path: Path, flip: bool
) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "dkim.pem").write_bytes(pem)
    signing = {"domain": "controller.example", "selector": "s1", "private_key_file": str(tmp_path / "dkim.pem")}
    parts = Parts(make_settings(database_url, mail=MAIL | {"dkim": signing}), clock)
    async with parts.database:
        content = (await frozen(parts)).content
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    record = b"v=DKIM1; k=rsa; p=" + b"".join(public.splitlines()[1:-1])
    if flip:
        content = content.replace(b"Controller Test", b"Controller test")
    assert dkim.verify(content, dnsfunc=lambda *_, **__: record) is not flip


async def test_a_mail_servers_pipe_can_hand_in_a_bounce(database_url: str, clock: HandClock) -> None:
    parts = Parts(make_settings(database_url, mail=MAIL), clock)
    async with parts.database:
        mail = await frozen(parts)
        report = (
            b"From: MAILER-DAEMON@mx.firma.example\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\n"
            b'Content-Type: multipart/report; report-type=delivery-status; boundary="x"\r\n\r\n'
            b"--x\r\nContent-Type: text/plain\r\n\r\nNo such user.\r\n"
            b"--x\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.firma.example\r\n\r\n"
            b"Final-Recipient: rfc822; lea@firma.example\r\nAction: failed\r\nStatus: 5.1.1\r\n--x--\r\n"
        )
        settings = {
            "CONSENTFLOW_DATABASE_URL": database_url,
            "CONSENTFLOW_SECRET_KEY": parts.settings.secret_key.get_secret_value(),
            "CONSENTFLOW_PUBLIC_URL": parts.settings.public_url,
            **{f"CONSENTFLOW_MAIL__{name.upper()}": value for name, value in MAIL.items()},
            **{f"CONSENTFLOW_CONTROLLER__{name.upper()}": value for name, value in CONTROLLER.items()},
        }

        def hand_in(address: str) -> str:
            command = [sys.executable, "-m", "consentflow", "inbound", "-", "--envelope-to", address]
            done = subprocess.run(command, input=report, env=os.environ | settings, capture_output=True, check=True)
            return done.stdout.decode().strip()

        assert hand_in(f"b-{'0' * 24}@bounces.controller.example") == "ignored"
        assert hand_in(mail.envelope_from) == "hard_bounce"
        assert (await parts.registrations.find("r-1")).registration.state is State.UNDELIVERABLE
