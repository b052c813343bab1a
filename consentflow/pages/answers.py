"""How every page is answered: rendered in the reader's language."""

from http import HTTPStatus

from fastapi import Request
from fastapi.responses import HTMLResponse
from starlette.datastructures import FormData

from consentflow.domain.languages import letter_language
from consentflow.domain.letters import Language
from consentflow.pages.render import PageRenderer


def page(
    request: Request, template: str, language: Language, status: HTTPStatus = HTTPStatus.OK, **context: object
) -> HTMLResponse:
    """A page; its template sees the controller and ``action_url``, where its own address is, besides the context."""
    pages: PageRenderer = request.app.state.pages
    controller = request.app.state.parts.settings.controller.as_controller()
    html = pages.render(template, language, **{"controller": controller, "action_url": request.url.path, **context})
    return HTMLResponse(html, status)


async def form_of(request: Request) -> FormData:
    """What a form has sent; one with a file is refused, as no form of ours has any."""
    return await request.form(max_files=0, max_fields=100)


def text_of(sent: object) -> str:
    """What a form's field holds, as text that can be shown again; nothing for one that is missing."""
    return sent.encode(errors="replace").decode() if isinstance(sent, str) else ""


def readers_language(request: Request, wanted: str | None, *known: Language | None) -> Language:
    """The reader's choice, else the first that is known, else what the browser asks for, else English."""
    if wanted in set(Language):
        return Language(wanted)
    for language in known:
        if language:
            return language
    preferred = request.headers.get("accept-language", "").split(",")[0].split(";")[0].strip()
    return letter_language(preferred, None)
