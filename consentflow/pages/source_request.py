"""The public form to ask for a source, and the page behind the link that shows who asks.

The form answers with the same page, after the same work, whether or not the address is known. GET and HEAD change
nothing.
"""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import ValidationError
from starlette.datastructures import FormData

from consentflow.domain.errors import StorageUnavailable
from consentflow.domain.letters import Language
from consentflow.domain.source_intake import LONGEST_TEXT, SourceRequestIn
from consentflow.domain.source_requests import Channel
from consentflow.operations.consent import Link, LinkState
from consentflow.operations.source_identity import SourceIdentity
from consentflow.operations.source_requests import SourceRequests
from consentflow.pages.answers import page, readers_language
from consentflow.pages.crowding import not_too_often

router = APIRouter(include_in_schema=False)

Token = Annotated[str, Path()]
Wanted = Annotated[str | None, Query(alias="language", max_length=35)]

_FIELDS = ("email", "name", "country", "message")
_TRAP = "website"
"""A field that people do not see; what fills it in is a program, and hears what everybody hears."""


@router.api_route("/source-request", methods=["GET", "HEAD"])
async def show_form(request: Request, language: Wanted = None) -> HTMLResponse:
    """The empty form."""
    return _form(request, readers_language(request, language), {}, frozenset())


@router.post("/source-request", dependencies=[Depends(not_too_often)])
async def ask(request: Request) -> HTMLResponse:
    """Takes a request for the address that was entered, whoever entered it: only that address is answered."""
    form = await request.form(max_files=0, max_fields=20)
    language = readers_language(request, _text(form, "language"))
    sent = {field: _text(form, field) for field in _FIELDS}
    if not _text(form, _TRAP):
        try:
            given = SourceRequestIn.model_validate(
                {name: text for name, text in sent.items() if text.strip()} | {"language": language.value}
            )
            await _source_requests(request).open(given, Channel.FORM)
        except ValidationError as error:
            wrong = {str(each["loc"][0]) for each in error.errors(include_url=False, include_input=False)}
            return _form(request, language, sent, wrong)
        except StorageUnavailable:
            return page(request, "unavailable.html", language, HTTPStatus.SERVICE_UNAVAILABLE)
    return page(request, "source_request_sent.html", language)


@router.api_route("/identity/{token}", methods=["GET", "HEAD"])
async def show_question(request: Request, token: Token, language: Wanted = None) -> HTMLResponse:
    """The question whether its reader has asked, with its button."""
    return _identity(request, await _source_identity(request).look_up(token), language)


@router.post("/identity/{token}")
async def confirm(request: Request, token: Token) -> HTMLResponse:
    """The button: whoever reads the mailbox has asked."""
    wanted = _text(await request.form(max_files=0, max_fields=20), "language")
    return _identity(request, await _source_identity(request).confirm(token), wanted)


def _form(request: Request, language: Language, sent: dict[str, str], wrong: set[str] | frozenset[str]) -> HTMLResponse:
    status = HTTPStatus.UNPROCESSABLE_ENTITY if wrong else HTTPStatus.OK
    kept = {field: sent.get(field, "") for field in _FIELDS}
    return page(
        request, "source_request.html", language, status, sent=kept, wrong=wrong, trap=_TRAP, longest=LONGEST_TEXT
    )


def _identity(request: Request, link: Link, wanted: str | None) -> HTMLResponse:
    template, status = {
        LinkState.OPEN: ("identity.html", HTTPStatus.OK),
        LinkState.DONE: ("identity_confirmed.html", HTTPStatus.OK),
        LinkState.UNUSABLE: ("link_unusable.html", HTTPStatus.NOT_FOUND),
    }[link.state]
    return page(request, template, readers_language(request, wanted, link.language), status)


def _text(form: FormData, field: str) -> str:
    value = form.get(field)
    return value if isinstance(value, str) else ""


def _source_requests(request: Request) -> SourceRequests:
    operations: SourceRequests = request.app.state.parts.source_requests
    return operations


def _source_identity(request: Request) -> SourceIdentity:
    operations: SourceIdentity = request.app.state.parts.source_identity
    return operations
