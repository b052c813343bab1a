"""What every page of the console begins with: who is signed in, in which language, and what can go wrong.

A page takes ``Looking`` as a dependency, what its forms send takes ``Sending``. Routers are made by `console_router`.
"""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute

from consentflow.domain.acts import Actor, of_officer
from consentflow.domain.errors import InvalidInput, NotFound, StorageUnavailable
from consentflow.domain.paging import Mark
from consentflow.domain.sign_in import Door
from consentflow.operations.officers import OfficerRole
from consentflow.pages.answers import page, readers_language
from consentflow.pages.console.moments import Moments
from consentflow.pages.session import SignInFirst, Visit, sending, visiting
from consentflow.runtime import Parts
from consentflow.storage.officers import Officer


@dataclass(frozen=True, slots=True)
class Desk:
    """A request by an officer who is signed in, and how it is answered."""

    request: Request
    visit: Visit
    officer: Officer

    @property
    def parts(self) -> Parts:
        """The working parts."""
        parts: Parts = self.request.app.state.parts
        return parts

    @property
    def actor(self) -> Actor:
        """As the ledger names the officer."""
        return of_officer(self.officer.subject)

    @property
    def is_admin(self) -> bool:
        """Whether the officer may see who the officers are."""
        return self.officer.role == OfficerRole.ADMIN

    @property
    def moments(self) -> Moments:
        """How instants are written for this officer."""
        return Moments(self.visit.session.language, self.parts.rest_days.zone)

    def show(self, template: str, status: HTTPStatus = HTTPStatus.OK, **context: object) -> HTMLResponse:
        """A page of the console; ``template`` is a file below ``pages/console``."""
        return page(
            self.request,
            f"console/{template}",
            self.visit.session.language,
            status,
            officer=self.officer,
            form_token=self.visit.form_token,
            when=self.moments,
            **context,
        )

    async def form(self) -> dict[str, str]:
        """What a form sent: its texts, by name, trimmed, with the line breaks that were typed."""
        sent = await self.request.form()
        texts = {name: value for name, value in sent.items() if isinstance(value, str)}
        return {name: value.replace("\r\n", "\n").strip() for name, value in texts.items()}


def _at_desk(admit: Callable[[Request], Awaitable[Visit]]) -> Callable[[Request], Awaitable[Desk]]:
    async def sit_down(request: Request) -> Desk:
        visit = await admit(request)
        parts: Parts = request.app.state.parts
        officer = await parts.officers.find(visit.session.subject)
        if officer is None:
            raise SignInFirst(Door.CONSOLE, ended=True)
        request.state.desk = Desk(request, visit, officer)
        return request.state.desk  # type: ignore[no-any-return] # a request's state is untyped

    return sit_down


Looking = Annotated[Desk, Depends(_at_desk(visiting(Door.CONSOLE)))]
"""An officer looks at a page: nothing changes, but that the look is noted."""

Sending = Annotated[Desk, Depends(_at_desk(sending(Door.CONSOLE)))]
"""An officer sends a form of ours."""


class _PageRoute(APIRoute):
    """Answers with pages, also where something went wrong that the service knows."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except (NotFound, InvalidInput, RequestValidationError):
                return _in_frame(request, "missing.html", HTTPStatus.NOT_FOUND)
            except StorageUnavailable:
                return _in_frame(request, "unavailable.html", HTTPStatus.SERVICE_UNAVAILABLE)

        return answer


def console_router() -> APIRouter:
    """A router for pages of the console."""
    return APIRouter(prefix=f"/{Door.CONSOLE}", include_in_schema=False, route_class=_PageRoute)


def mark(after: str | None) -> Mark | None:
    """Where a list goes on.

    Raises:
        InvalidInput: The text is none of our marks.
    """
    return Mark.read(after) if after else None


def _in_frame(request: Request, template: str, status: HTTPStatus) -> HTMLResponse:
    desk: Desk | None = getattr(request.state, "desk", None)
    if desk is None:
        return page(request, "unavailable.html", readers_language(request, None), status)
    return desk.show(template, status)
