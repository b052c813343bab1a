"""Who is signed in, as the pages see it: the cookie, the token in every form, and what everybody else is answered.

A page of a door depends on a `Visit`: ``Annotated[Visit, Depends(visiting(door))]`` where one looks,
``Annotated[Visit, Depends(sending(door))]`` for what its forms send.
"""

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlencode, urlsplit

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response

from consentflow.domain.sign_in import SESSION_VALIDITY, Door
from consentflow.operations.sessions import Session, Sessions
from consentflow.pages.answers import form_of, page, readers_language, text_of

_LOOKING = {"GET", "HEAD"}


@dataclass(frozen=True, slots=True)
class Visit:
    """A request by somebody who is signed in.

    Args:
        key: Of the session; secret.
        form_token: What every form on the page must hold, as ``csrf``.
    """

    session: Session
    key: str
    form_token: str


class SignInFirst(Exception):
    """Nobody is signed in.

    Args:
        ended: Whether somebody was.
    """

    def __init__(self, door: Door, *, ended: bool) -> None:
        super().__init__(door.value)
        self.door = door
        self.ended = ended


class Forged(Exception):
    """What was sent does not come from a form of ours, or from one of another session."""

    def __init__(self, door: Door) -> None:
        super().__init__(door.value)
        self.door = door


def visiting(door: Door) -> Callable[[Request], Awaitable[Visit]]:
    """A dependency: the request comes from somebody who is signed in at that door."""

    async def admit(request: Request) -> Visit:
        operations, key = sessions(request), session_key(request, door)
        session = await operations.find(door, key) if key else None
        if key is None or session is None:
            raise SignInFirst(door, ended=key is not None)
        return Visit(session, key, operations.form_token(key))

    return admit


def sending(door: Door) -> Callable[[Request], Awaitable[Visit]]:
    """A dependency: the same, and what was sent comes from a form on a page of that session."""
    admit = visiting(door)

    async def check(request: Request) -> Visit:
        if is_foreign(request):
            raise Forged(door)
        visit = await admit(request)
        sent = (await form_of(request)).get("csrf")
        if not hmac.compare_digest(text_of(sent).encode(), visit.form_token.encode()):
            raise Forged(door)
        return visit

    return check


def is_foreign(request: Request) -> bool:
    """Whether the browser says that another site sent this; where silence proves nothing there is a token, too."""
    if site := request.headers.get("sec-fetch-site"):
        return site not in {"same-origin", "none"}
    origin = request.headers.get("origin", "null")  # "null" is also what our own pages send: they tell no referrer
    ours = {request.headers.get("host"), urlsplit(request.app.state.parts.settings.public_url).netloc}
    return origin != "null" and urlsplit(origin).netloc not in ours


def session_key(request: Request, door: Door) -> str | None:
    """The key in the browser's cookie."""
    return request.cookies.get(_cookie(request, door))


def keep_session(request: Request, response: Response, door: Door, key: str) -> None:
    """Lets the browser keep the key: for this door alone, out of every script's reach."""
    response.set_cookie(
        _cookie(request, door),
        key,
        max_age=int(SESSION_VALIDITY[door].total_seconds()),
        path=f"/{door}",
        secure=_is_secure(request),
        httponly=True,
        samesite="strict" if door is Door.CONSOLE else "lax",
    )


def forget_session(request: Request, response: Response, door: Door) -> None:
    """Lets the browser forget the key."""
    response.delete_cookie(_cookie(request, door), path=f"/{door}", secure=_is_secure(request), httponly=True)


def go_to(path: str, **query: str | None) -> RedirectResponse:
    """Sends the browser to look at a page, after what it sent was done."""
    given = urlencode({name: value for name, value in query.items() if value})
    return RedirectResponse(f"{path}?{given}" if given else path, HTTPStatus.SEE_OTHER)


def install(app: FastAPI) -> None:
    """Lets the application answer those who are not signed in, and what was forged."""

    @app.exception_handler(SignInFirst)
    async def sign_in_first(request: Request, refusal: SignInFirst) -> Response:
        because, wanted = "ended" if refusal.ended else None, request.query_params.get("language")
        answer: Response
        if request.method in _LOOKING:
            answer = go_to(f"/{refusal.door}/sign-in", because=because, language=wanted)
        else:
            answer = page(
                request,
                "sign_in.html",
                readers_language(request, wanted),
                HTTPStatus.UNAUTHORIZED,
                action_url=f"/{refusal.door}/sign-in",
                languages_at=f"/{refusal.door}/sign-in?",
                door=refusal.door,
                because="ended_before_saving",
                email="",
                invalid=False,
            )
            answer.headers["WWW-Authenticate"] = "Link"
        if refusal.ended:
            forget_session(request, answer, refusal.door)
        return answer

    @app.exception_handler(Forged)
    async def forged(request: Request, refusal: Forged) -> Response:
        language, door = readers_language(request, request.query_params.get("language")), f"/{refusal.door}?"
        way_on = f"{door}language={language}"
        return page(request, "sign_in_forged.html", language, HTTPStatus.FORBIDDEN, languages_at=door, way_on=way_on)


def sessions(request: Request) -> Sessions:
    """The operations on sessions."""
    operations: Sessions = request.app.state.parts.sessions
    return operations


def _cookie(request: Request, door: Door) -> str:
    return f"__Secure-consentflow-{door}" if _is_secure(request) else f"consentflow-{door}"


def _is_secure(request: Request) -> bool:
    public_url: str = request.app.state.parts.settings.public_url
    return public_url.startswith("https:")
