"""What every page of a partner's people begins with: who looks, for which partner, in which language."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response
from fastapi.routing import APIRoute

from consentflow.domain.errors import NotFound, StorageUnavailable
from consentflow.domain.letters import Language
from consentflow.domain.partners import Partner
from consentflow.domain.sign_in import Door
from consentflow.mail.untrusted import shown
from consentflow.operations.partner_desk import Desk, PartnerDesk
from consentflow.operations.subscribers import Subscribers
from consentflow.pages.answers import page, readers_language
from consentflow.pages.partner_words import Words
from consentflow.pages.session import Visit, go_to, sending, visiting


class _PageRoute(APIRoute):
    """Answers with a page also where something went wrong that the service knows."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except NotFound:  # what a form was about is gone, or never was the sender's
                return go_to(f"/{Door.PARTNER}")
            except StorageUnavailable:
                language = readers_language(request, request.query_params.get("language"))
                return page(request, "unavailable.html", language, HTTPStatus.SERVICE_UNAVAILABLE)

        return answer


def partner_router() -> APIRouter:
    """A router for the pages of a partner's people."""
    return APIRouter(prefix=f"/{Door.PARTNER}", include_in_schema=False, route_class=_PageRoute)


@dataclass(frozen=True, slots=True)
class Seat:
    """A request by one of a partner's people, and how it is answered.

    Args:
        choices: Every partner the person acts for.
        desk: Its place at the one this is about; None while none is chosen.
        wanted: The language it has asked for, None for the one on record.
    """

    request: Request
    visit: Visit
    choices: Sequence[Partner]
    desk: Desk | None
    wanted: Language | None

    @property
    def at_desk(self) -> Desk:
        """Its place at the chosen partner.

        Raises:
            NotFound: None is chosen, or one the person does not act for.
        """
        if self.desk is None:
            raise NotFound("partner")
        return self.desk

    @property
    def desks(self) -> PartnerDesk:
        """The operations that look."""
        operations: PartnerDesk = self.request.app.state.parts.partner_desk
        return operations

    @property
    def subscribers(self) -> Subscribers:
        """The operations that change what is told."""
        operations: Subscribers = self.request.app.state.parts.subscribers
        return operations

    @property
    def language(self) -> Language:
        """The one asked for, else the subscriber's, else the partner's, else that in which the person signed in."""
        desk = self.desk
        return readers_language(
            self.request,
            self.wanted,
            desk.subscriber.choice.language if desk and desk.subscriber else None,
            desk.partner.language if desk and desk.is_known else None,
            self.visit.session.language,
        )

    @property
    def words(self) -> Words:
        """Days, hours and amounts as this reader is told them."""
        return Words(self.language, self.at_desk.partner.time_zone)

    def to(self, path: str, **query: str | int | None) -> str:
        """The address of a page of this partner, in the language that was asked for."""
        return _with_query(path, {**self._kept(), "language": self.wanted, **query})

    def show(self, template: str, status: HTTPStatus = HTTPStatus.OK, **context: object) -> HTMLResponse:
        """A page; what the context says wins over what every page is told."""
        told = {
            "to": self.to,
            "chosen_language": self.wanted,
            "form_token": self.visit.form_token,
            "address": self.visit.session.address,
            "desk": self.desk,
            "partner": name_of(self.desk.partner) if self.desk else None,
            "has_choice": len(self.choices) > 1,
            "languages_at": self.languages_at(self.request.url.path),
        }
        return page(self.request, template, self.language, status, **{**told, **context})

    def languages_at(self, path: str, **query: str | int | None) -> str:
        """The address of this page in another language, up to the language."""
        here = _with_query(path, {**self._kept(), **query})
        return here + ("&" if "?" in here else "?")

    def _kept(self) -> dict[str, str | int | None]:
        chosen = self.desk.partner.partner_id if self.desk and len(self.choices) > 1 else None
        return {"partner": chosen}


def _seated(admit: Callable[[Request], Awaitable[Visit]]) -> Callable[[Request], Awaitable[Seat]]:
    async def sit_down(request: Request) -> Seat:
        visit = await admit(request)
        desks: PartnerDesk = request.app.state.parts.partner_desk
        choices = await desks.partners_of(visit.session.subject)
        named = request.query_params.get("partner") or (choices[0].partner_id if len(choices) == 1 else "")
        known = named in {choice.partner_id for choice in choices}
        desk = await desks.sit_down(visit.session.subject, named) if known else None
        wanted = request.query_params.get("language")
        return Seat(request, visit, choices, desk, Language(wanted) if wanted in set(Language) else None)

    return sit_down


Looking = Annotated[Seat, Depends(_seated(visiting(Door.PARTNER)))]
Sending = Annotated[Seat, Depends(_seated(sending(Door.PARTNER)))]


def name_of(partner: Partner) -> str:
    """What the partner is called, as its people may see it."""
    return shown(partner.name) or partner.partner_id


def _with_query(path: str, query: Mapping[str, str | int | None]) -> str:
    given = urlencode({name: value for name, value in query.items() if value is not None})
    return f"{path}?{given}" if given else path
