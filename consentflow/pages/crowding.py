"""How often one client may send the forms that need no sign-in."""

from http import HTTPStatus

from fastapi import FastAPI, Request, Response

from consentflow.domain.letters import Language
from consentflow.pages.answers import form_of, page, readers_language, text_of
from consentflow.rates import Rate, network_of


class TooOften(Exception):
    """A client sends forms too often.

    Args:
        wait: Seconds until it may again.
    """

    def __init__(self, wait: int, language: Language) -> None:
        super().__init__(f"{wait} s")
        self.wait = wait
        self.language = language


async def not_too_often(request: Request) -> None:
    """A dependency of what a form sends: its client has not sent too many lately."""
    rate: Rate = request.app.state.parts.form_rate
    if request.client and (wait := rate.wait_of(network_of(request.client.host))):
        wanted = text_of((await form_of(request)).get("language"))
        raise TooOften(wait, readers_language(request, wanted))


def install(app: FastAPI) -> None:
    """Lets the application answer with a page whoever sends too much."""

    @app.exception_handler(TooOften)
    async def too_often(request: Request, refusal: TooOften) -> Response:
        minutes = -(-refusal.wait // 60)
        answer = page(request, "too_often.html", refusal.language, HTTPStatus.TOO_MANY_REQUESTS, minutes=minutes)
        answer.headers["Retry-After"] = str(refusal.wait)
        return answer
