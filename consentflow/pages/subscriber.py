"""The pages behind the links in mails to subscribers. GET and HEAD change nothing; the visible button POSTs."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse

from consentflow.operations.consent import LinkState
from consentflow.operations.subscribers import SubscriberLink, Subscribers
from consentflow.pages.answers import page, readers_language

router = APIRouter(include_in_schema=False)

Token = Annotated[str, Path()]
Wanted = Annotated[str | None, Query(alias="language", max_length=35)]


@router.api_route("/subscription/{token}", methods=["GET", "HEAD"])
async def show_subscription(request: Request, token: Token, language: Wanted = None) -> HTMLResponse:
    """The question whether to be told, with its button."""
    link = await _subscribers(request).look_up("subscription", token)
    return _page(request, link, language, "subscription.html", "subscription_confirmed.html")


@router.post("/subscription/{token}")
async def confirm(request: Request, token: Token) -> HTMLResponse:
    """The button: the address is confirmed."""
    link = await _subscribers(request).confirm(token)
    return _page(request, link, await _chosen(request), "subscription.html", "subscription_confirmed.html")


async def show_leaving(request: Request, token: str, language: str | None) -> HTMLResponse:
    """The page to leave, with its button. Its path is shared with leads, for whom nothing was found."""
    link = await _subscribers(request).look_up("leave", token)
    return _page(request, link, language, "subscription_leave.html", "subscription_left.html")


async def leave(request: Request, token: str) -> HTMLResponse:
    """The button, or a mail program's one click (RFC 8058): the subscriber leaves. Needs no cookie."""
    link = await _subscribers(request).leave(token)
    return _page(request, link, await _chosen(request), "subscription_leave.html", "subscription_left.html")


def _page(request: Request, link: SubscriberLink, wanted: str | None, open_page: str, done_page: str) -> HTMLResponse:
    template, status = {
        LinkState.OPEN: (open_page, HTTPStatus.OK),
        LinkState.DONE: (done_page, HTTPStatus.OK),
        LinkState.UNUSABLE: ("link_unusable.html", HTTPStatus.NOT_FOUND),
    }[link.state]
    language = readers_language(request, wanted, link.language)
    name = link.partner.name if link.partner else None
    return page(request, template, language, status, partner=name, partner_page="/partner")


async def _chosen(request: Request) -> str | None:
    chosen = (await request.form()).get("language")
    return chosen if isinstance(chosen, str) else None


def _subscribers(request: Request) -> Subscribers:
    operations: Subscribers = request.app.state.parts.subscribers
    return operations
