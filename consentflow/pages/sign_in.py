"""Signing in and out, the same at both doors: ask for a link, press the button behind it.

Asking answers with the same page whether or not the address is known. GET and HEAD change nothing.
"""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request
from fastapi.responses import HTMLResponse, Response

from consentflow.domain.errors import InvalidInput
from consentflow.domain.letters import Language
from consentflow.domain.sign_in import LINK_VALIDITY, Door
from consentflow.pages.answers import form_of, page, readers_language, text_of
from consentflow.pages.crowding import not_too_often
from consentflow.pages.session import (
    Forged,
    Visit,
    forget_session,
    go_to,
    is_foreign,
    keep_session,
    sending,
    session_key,
    sessions,
)

router = APIRouter(prefix="/{door}", include_in_schema=False)

_MINUTES = int(LINK_VALIDITY.total_seconds() // 60)
_REASONS = {"ended", "signed_out"}


def _known(door: Annotated[str, Path()]) -> Door:
    if door not in set(Door):
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return Door(door)


At = Annotated[Door, Depends(_known)]
Wanted = Annotated[str | None, Query(alias="language", max_length=35)]
Token = Annotated[str, Path()]


async def _leaving(request: Request, door: At) -> Visit:
    return await sending(door)(request)


@router.api_route("/sign-in", methods=["GET", "HEAD"])
async def show_form(
    request: Request, door: At, language: Wanted = None, because: Annotated[str | None, Query(max_length=20)] = None
) -> HTMLResponse:
    """The form that asks for a link."""
    return _form(request, door, readers_language(request, language), because=because if because in _REASONS else None)


@router.post("/sign-in", dependencies=[Depends(not_too_often)])
async def ask(request: Request, door: At) -> HTMLResponse:
    """Somebody asks for a link; what is answered says nothing of the address."""
    form = await form_of(request)
    email, language = form.get("email"), readers_language(request, text_of(form.get("language")))
    try:
        await sessions(request).ask(door, text_of(email), language)
    except InvalidInput:
        return _form(request, door, language, HTTPStatus.UNPROCESSABLE_ENTITY, email=text_of(email), invalid=True)
    return page(request, "sign_in_asked.html", language, way_on=_form_at(door, language), minutes=_MINUTES)


@router.api_route("/sign-in/{token}", methods=["GET", "HEAD"])
async def show_button(request: Request, door: At, token: Token, language: Wanted = None) -> HTMLResponse:
    """What the link in the mail leads to: a button."""
    mails = await sessions(request).may_be_used(door, token)
    if mails is None:
        return _unusable(request, door, language)
    return page(request, "sign_in_button.html", readers_language(request, language, mails), door=door)


@router.post("/sign-in/{token}")
async def sign_in(request: Request, door: At, token: Token) -> Response:
    """The button: the link is used up, and a session begins."""
    if is_foreign(request):  # else another site could sign its visitors in as somebody else
        raise Forged(door)
    wanted = text_of((await form_of(request)).get("language"))
    language = Language(wanted) if wanted in set(Language) else None
    key = await sessions(request).sign_in(door, token, language, session_key(request, door))
    if key is None:
        return _unusable(request, door, wanted)
    answer = go_to(f"/{door}")
    keep_session(request, answer, door, key)
    return answer


@router.post("/sign-out")
async def sign_out(request: Request, visit: Annotated[Visit, Depends(_leaving)]) -> Response:
    """The session ends."""
    await sessions(request).sign_out(visit.session.door, visit.key)
    return await _signed_out(request, visit)


@router.post("/sign-out-everywhere")
async def sign_out_everywhere(request: Request, visit: Annotated[Visit, Depends(_leaving)]) -> Response:
    """Every session of the person ends, on whatever device."""
    await sessions(request).sign_out_everywhere(visit.session)
    return await _signed_out(request, visit)


def _form(
    request: Request,
    door: Door,
    language: Language,
    status: HTTPStatus = HTTPStatus.OK,
    *,
    because: str | None = None,
    email: str = "",
    invalid: bool = False,
) -> HTMLResponse:
    return page(request, "sign_in.html", language, status, door=door, because=because, email=email, invalid=invalid)


def _unusable(request: Request, door: Door, wanted: str | None) -> HTMLResponse:
    language = readers_language(request, wanted)
    way_on = _form_at(door, language)
    return page(request, "sign_in_unusable.html", language, HTTPStatus.NOT_FOUND, way_on=way_on, minutes=_MINUTES)


def _form_at(door: Door, language: Language) -> str:
    return f"/{door}/sign-in?language={language}"


async def _signed_out(request: Request, visit: Visit) -> Response:
    door, language = visit.session.door, text_of((await form_of(request)).get("language"))
    answer = go_to(f"/{door}/sign-in", because="signed_out", language=language if language in set(Language) else None)
    forget_session(request, answer, door)
    return answer
