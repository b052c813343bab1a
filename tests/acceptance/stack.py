"""The development stack as a user starts it: a command, a folder, and HTTP."""

import email.policy
import json
import mailbox
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import httpx

Json = dict[str, Any]
T = TypeVar("T")

DEADLINE_SECONDS = 60
"""How long a condition may take to come true before a test fails: generous, since nothing is measured by it."""

_number = count(1)


def until(what: str, answer: Callable[[], T]) -> T:
    """Asks again until the answer is true, and returns it."""
    end = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < end:
        if found := answer():
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited in vain until {what}")


def environment(**settings: str) -> dict[str, str]:
    """This process's environment with these settings of consentflow and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CONSENTFLOW_")}
    return kept | settings


def consentflow(
    *arguments: str, folder: Path, settings: Mapping[str, str] | None = None, seconds: float = DEADLINE_SECONDS
) -> "subprocess.CompletedProcess[str]":
    """Runs a command of consentflow in a folder to its end."""
    return subprocess.run(
        [sys.executable, "-m", "consentflow", *arguments],
        cwd=folder,
        env=environment(**(settings or {})),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


@contextmanager
def new_folder() -> Iterator[Path]:
    """A folder of its own with a short name: Postgres puts a socket, whose path may not be long, below it."""
    folder = Path(tempfile.mkdtemp(prefix="consentflow-test-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def new_lead(domain: str, **more: object) -> Json:
    """A registration that no other test has made."""
    number = next(_number)
    return {
        "registration_id": f"a-{number}",
        "partner_id": f"partner-zq-{number}",
        "registered_by": "ana@partner.example",
        "contact": {"email": f"lea-{number}@{domain}", "given_name": "Lea", "family_name": "Muster"},
        "company": {"name": "Firma", "domain": f"firma-{number}.example"},
    } | more


@dataclass
class Stack:
    """A running stack, driven over HTTP alone."""

    process: "subprocess.Popen[bytes]"
    data: Path
    log: Path
    info: Json
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = httpx.Client(base_url=self.info["api"], timeout=DEADLINE_SECONDS)

    def call(
        self,
        method: str,
        path: str,
        *,
        role: str | None = "admin",
        **more: Any,  # noqa: ANN401 - whatever httpx takes
    ) -> httpx.Response:
        headers = more.pop("headers", {})
        if role is not None:
            headers = {"Authorization": f"Bearer {self.info['keys'][role]}", **headers}
        return self.client.request(method, path, headers=headers, **more)

    def register(self, country: str | None, **more: object) -> Json:
        """Registers a new lead; returns the request."""
        request = new_lead("firma.example", country=country, **more)
        answer = self.call("POST", "/v1/registrations", role="registrar", json=request)
        assert answer.status_code == 202, answer.text
        return request

    def registration(self, request: Json) -> Json:
        answer = self.call("GET", f"/v1/registrations/{request['registration_id']}", role="registrar")
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    def state(self, request: Json) -> str:
        return str(self.registration(request)["state"])

    def settles(self, request: Json, state: str) -> None:
        """Waits until a registration is in the state."""
        until(f"{request['registration_id']} is {state}", lambda: self.state(request) == state)

    def event(self, kind: str, request: Json, **more: object) -> httpx.Response:
        """A consent event about a lead."""
        event = {
            "specversion": "1.0",
            "id": f"e-{next(_number)}",
            "source": "site",
            "type": kind,
            "data": {"email": request["contact"]["email"]},
        } | more
        return self.call(
            "POST",
            "/v1/events",
            role="tracker",
            content=json.dumps(event),
            headers={"Content-Type": "application/cloudevents+json"},
        )

    def advance(self, duration: str) -> None:
        answer = self.call("POST", "/dev/clock", json={"advance": duration})
        assert answer.status_code == 200, answer.text

    def mails(self, request: Json | None = None) -> list[EmailMessage]:
        """The mails in the Maildir, of one lead or of all."""
        parser = BytesParser(EmailMessage, policy=email.policy.default)
        found = [
            parser.parsebytes(each.as_bytes()) for each in mailbox.Maildir(self.info["maildir"], create=False).values()
        ]
        address = request["contact"]["email"] if request else ""
        return [mail for mail in found if address in str(mail["To"])]

    def mail(self, request: Json) -> EmailMessage:
        """Waits for the one mail to a lead."""
        (mail,) = until(f"{request['registration_id']} is mailed", lambda: self.mails(request))
        return mail

    def stop(self) -> int:
        """Stops it as an operator does; returns its exit code."""
        self.client.close()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_SECONDS)

    def interrupt(self) -> int:
        """Stops it as Ctrl-C on its terminal does: the signal goes to every process of its group."""
        self.client.close()
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(DEADLINE_SECONDS)

    def said(self) -> str:
        """All it has printed."""
        return self.log.read_text()


@contextmanager
def running(folder: Path, *flags: str) -> Iterator[Stack]:
    """Starts the stack on a folder and waits until it is ready; stops it at the end unless the test has done so."""
    data, log = folder / "data", folder / "stack.log"
    ready = data / "dev.json"
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "consentflow", "dev", "--data-dir", str(data), "--port", "0", *flags],
            cwd=folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        until("the stack is ready", lambda: ready.exists() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        stack = Stack(process, data, log, json.loads(ready.read_text()))
        yield stack
        if process.poll() is None:
            assert stack.stop() == 0, log.read_text()
        assert "Traceback" not in log.read_text()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def text_of(mail: EmailMessage, kind: str = "plain") -> str:
    """A part of a mail, decoded."""
    part = mail.get_body((kind,))
    return str(part.get_content()) if part else ""


def link_in(mail: EmailMessage, purpose: str) -> str:
    """The link of that purpose: confirm, unsubscribe, preferences."""
    found = re.search(rf"https?://\S+/{purpose}/[\w-]+", text_of(mail))
    assert found, f"the mail has no link to {purpose}"
    return found[0]
