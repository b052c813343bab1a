"""One person by pseudonym: what is held in every role, evidence, erasing."""

import base64
import hashlib
import json
import re
from typing import Annotated

from fastapi import Path, Query, Response
from fastapi.responses import HTMLResponse

from consentflow.domain.addresses import Subject
from consentflow.domain.consent_records import Json
from consentflow.operations.dossiers import Part
from consentflow.pages.access import render_access
from consentflow.pages.console.desk import Looking, Sending, console_router, mark
from consentflow.pages.evidence import render_evidence
from consentflow.pages.headers import HEADERS

router = console_router()

Pseudonym = Annotated[str, Path(pattern=r"^s-[0-9a-f]{32}$")]
After = Annotated[str, Query(max_length=200)]

_STYLE = re.compile("<style>(.*?)</style>", re.DOTALL)


@router.api_route("/people/{subject}", methods=["GET", "HEAD"])
async def dossier(desk: Looking, subject: Pseudonym) -> Response:
    """Everything that is held about a person."""
    found = await desk.parts.dossiers.find(Subject(subject), desk.actor)
    return desk.show("person.html", dossier=found)


@router.api_route("/people/{subject}/further/{part}", methods=["GET", "HEAD"])
async def further(desk: Looking, subject: Pseudonym, part: Part, after: After) -> Response:
    """Further entries of one of the dossier's lists."""
    begins = mark(after)
    assert begins is not None  # noqa: S101 - the query insists on it
    found = await desk.parts.dossiers.go_on(Subject(subject), part, begins, desk.actor)
    return desk.show("person_further.html", subject=subject, part=part, page=found)


@router.api_route("/people/{subject}/evidence", methods=["GET", "HEAD"])
async def evidence(desk: Looking, subject: Pseudonym) -> Response:
    """What the ledger says of a person, for paper."""
    return _paper(render_evidence(await desk.parts.evidence.hand_out(Subject(subject), "evidence", desk.actor)))


@router.api_route("/people/{subject}/receipts", methods=["GET", "HEAD"])
async def receipts(desk: Looking, subject: Pseudonym) -> Response:
    """The same as a file: consent receipts as JSON-LD, and the raw entries."""
    found = await desk.parts.evidence.hand_out(Subject(subject), "receipts", desk.actor)
    return _file(found.document(), f"evidence-{subject}.json")


@router.api_route("/people/{subject}/erase", methods=["GET", "HEAD"])
async def ask_to_erase(desk: Looking, subject: Pseudonym) -> Response:
    """What would go and what would stay, and the button."""
    found = await desk.parts.dossiers.find(Subject(subject), desk.actor)
    return desk.show("erase.html", dossier=found)


@router.post("/people/{subject}/erase")
async def erase(desk: Sending, subject: Pseudonym) -> Response:
    """Erases the person, and says what went."""
    done = await desk.parts.erasures.erase(subject, desk.actor)
    return desk.show("erased.html", done=done)


@router.post("/people/{subject}/access")
async def hand_out(desk: Sending, subject: Pseudonym) -> Response:
    """Everything held about a person, for the person: as a page for paper, or as a file."""
    form = await desk.form()
    found = await desk.parts.access_exports.export(subject, desk.actor)
    if form.get("form") == "file":
        return _file(found.document(), f"access-{subject}.json")
    return _paper(render_access(found))


def _paper(html: str) -> Response:
    """A page that is complete in itself. Its one style sheet stands in it, so the policy names its hash."""
    hashes = [base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() for style in _STYLE.findall(html)]
    allowed = " ".join(f"'sha256-{each}'" for each in hashes)
    policy = HEADERS["Content-Security-Policy"].replace("style-src 'self'", f"style-src {allowed}")
    return HTMLResponse(html, headers={"Content-Security-Policy": policy})


def _file(document: Json, name: str) -> Response:
    """A file for the officer to keep."""
    content = json.dumps(document, ensure_ascii=False, indent=2)
    disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type="application/json", headers=disposition)
