"""The pages a lead meets. GET and HEAD change nothing: mail scanners follow links. The visible button POSTs."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse

from consentflow.domain.letters import Language
from consentflow.operations.consent import Consent, Link, LinkState
from consentflow.operations.preferences import Choices, Preferences
from consentflow.pages import subscriber
from consentflow.pages.answers import page, readers_language

router = APIRouter(include_in_schema=False)

Token = Annotated[str, Path()]
Wanted = Annotated[str | None, Query(alias="language", max_length=35)]


@router.api_route("/confirm/{token}", methods=["GET", "HEAD"])
async def show_question(request: Request, token: Token, language: Wanted = None) -> HTMLResponse:
    """The question of a double opt-in, with its button."""
    return _page(request, await _consent(request).fetch(token), language, "confirm.html", "confirmed.html")


@router.post("/confirm/{token}")
async def confirm(request: Request, token: Token) -> HTMLResponse:
    """The button: consent is given."""
    link = await _consent(request).confirm(token)
    return _page(request, link, await _chosen(request), "confirm.html", "confirmed.html")


@router.api_route("/unsubscribe/{token}", methods=["GET", "HEAD"])
async def show_objection(request: Request, token: Token, language: Wanted = None) -> HTMLResponse:
    """The page to object, with its button; or a subscriber's, to leave."""
    link = await _consent(request).look_up("unsubscribe", token)
    if link.state is LinkState.UNUSABLE:
        return await subscriber.show_leaving(request, token, language)
    return _page(request, link, language, "unsubscribe.html", "unsubscribed.html")


@router.post("/unsubscribe/{token}")
async def unsubscribe(request: Request, token: Token) -> HTMLResponse:
    """The button, or a mail program's one click (RFC 8058): the lead objects, or the subscriber leaves. No cookie."""
    link = await _consent(request).object(token)
    if link.state is LinkState.UNUSABLE:
        return await subscriber.leave(request, token)
    return _page(request, link, await _chosen(request), "unsubscribe.html", "unsubscribed.html")


@router.api_route("/preferences/{token}", methods=["GET", "HEAD"])
async def show_choices(request: Request, token: Token, language: Wanted = None) -> HTMLResponse:
    """What the lead can choose, and where it stands."""
    return _choices_page(request, await _preferences(request).look_up(token), language)


@router.post("/preferences/{token}")
async def choose(request: Request, token: Token) -> HTMLResponse:
    """One of the buttons: ``choice`` is ``language``, ``withdraw`` or ``object``."""
    form = await request.form()
    preferences, language = _preferences(request), form.get("language")
    match form.get("choice"):
        case "language" if language in set(Language):
            return _choices_page(
                request, await preferences.set_language(token, Language(str(language))), None, "language"
            )
        case "withdraw":
            return _choices_page(request, await preferences.withdraw(token), str(language), "withdrawn")
        case "object":
            return _choices_page(request, await preferences.object(token), str(language), "objected")
        case _:
            return _choices_page(request, await preferences.look_up(token), str(language))


def _choices_page(
    request: Request, choices: Choices | None, wanted: str | None, done: str | None = None
) -> HTMLResponse:
    if choices is None:
        return _page(request, Link(LinkState.UNUSABLE), wanted, "link_unusable.html", "link_unusable.html")
    return page(
        request,
        "preferences.html",
        readers_language(request, wanted, choices.language),
        standing=choices.standing.value,
        mail_language=choices.language.value,
        done=done,
    )


def _page(request: Request, link: Link, wanted: str | None, open_page: str, done_page: str) -> HTMLResponse:
    template, status = {
        LinkState.OPEN: (open_page, HTTPStatus.OK),
        LinkState.DONE: (done_page, HTTPStatus.OK),
        LinkState.UNUSABLE: ("link_unusable.html", HTTPStatus.NOT_FOUND),
    }[link.state]
    return page(request, template, readers_language(request, wanted, link.language), status)


async def _chosen(request: Request) -> str | None:
    chosen = (await request.form()).get("language")
    return chosen if isinstance(chosen, str) else None


def _preferences(request: Request) -> Preferences:
    operations: Preferences = request.app.state.parts.preferences
    return operations


def _consent(request: Request) -> Consent:
    operations: Consent = request.app.state.parts.consent
    return operations
