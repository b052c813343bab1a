"""The page of a partner's people: their companies, what they are told and how often, what purchases credited.

Whoever is signed in sees its own partners only, and of their companies nothing finer than the day.
"""

import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, Response
from fastapi.routing import APIRoute

from consentflow.domain.errors import NotFound, StorageUnavailable
from consentflow.domain.letters import Language
from consentflow.domain.partners import Choice, Partner, SubscriberState
from consentflow.domain.sign_in import Door
from consentflow.domain.spreadsheets import as_csv
from consentflow.mail.untrusted import shown
from consentflow.operations.partner_desk import Desk, PartnerDesk
from consentflow.operations.subscribers import Subscribers
from consentflow.pages.answers import form_of, page, readers_language
from consentflow.pages.headers import HEADERS
from consentflow.pages.partner_words import Words, kinds, read_choice
from consentflow.pages.session import Visit, forget_session, go_to, sending, visiting

LONGEST_SEARCH = 100
_PAGE_NUMBER = re.compile(r"[1-9][0-9]{0,5}")
_DONE = {"saved", "paused", "resumed"}


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


router = APIRouter(prefix=f"/{Door.PARTNER}", include_in_schema=False, route_class=_PageRoute)


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
            "partner": _name(self.desk.partner) if self.desk else None,
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
        desks = _desks(request)
        choices = await desks.partners_of(visit.session.subject)
        named = request.query_params.get("partner") or (choices[0].partner_id if len(choices) == 1 else "")
        known = named in {choice.partner_id for choice in choices}
        desk = await desks.sit_down(visit.session.subject, named) if known else None
        wanted = request.query_params.get("language")
        return Seat(request, visit, choices, desk, Language(wanted) if wanted in set(Language) else None)

    return sit_down


Looking = Annotated[Seat, Depends(_seated(visiting(Door.PARTNER)))]
Sending = Annotated[Seat, Depends(_seated(sending(Door.PARTNER)))]


@router.api_route("", methods=["GET", "HEAD"])
async def show_companies(
    seat: Looking, find: Annotated[str, Query()] = "", number: Annotated[str, Query(alias="page")] = "1"
) -> HTMLResponse:
    """The companies that the partner owns, those that wait for an answer first; or the partners to choose from."""
    if seat.desk is None:
        return _choose(seat)
    wanted = "".join(char for char in find if char.isprintable()).strip()[:LONGEST_SEARCH]
    asked = int(number) if _PAGE_NUMBER.fullmatch(number) else 1
    companies = await _desks(seat.request).companies(seat.desk, wanted, asked)
    return seat.show(
        "partner_companies.html",
        place="companies",
        companies=companies,
        shown=seat.words.companies(companies),
        words=seat.words,
        wanted=wanted,
        languages_at=seat.languages_at("/partner", find=wanted or None, page=companies.number),
    )


@router.api_route("/notifications", methods=["GET", "HEAD"])
async def show_notifications(seat: Looking, done: Annotated[str | None, Query(max_length=20)] = None) -> HTMLResponse:
    """What the person is told and how often, and the form to change it."""
    return _notifications(seat, done=done if done in _DONE else None)


@router.post("/notifications")
async def choose(seat: Sending) -> Response:
    """Subscribes, or changes what a subscriber is told. The address is proven, so no mail asks to confirm."""
    desk, session, form = seat.at_desk, seat.visit.session, await form_of(seat.request)
    sent = {name: [text for text in form.getlist(name) if isinstance(text, str)] for name in form}
    choice = read_choice(sent)
    if choice is None:
        return _notifications(seat, HTTPStatus.UNPROCESSABLE_ENTITY, sent=sent)
    operations, partner_id = _subscribers(seat.request), desk.partner.partner_id
    if desk.subscriber and desk.subscriber.state is not SubscriberState.PENDING:
        await operations.change(partner_id, session.subject, choice)
    else:
        await operations.join(partner_id, session.subject, session.address, choice)
    return go_to(seat.to("/partner/notifications", done="saved"))


@router.post("/pause")
async def pause(seat: Sending) -> Response:
    """The subscriber is told nothing until it resumes."""
    await _subscribers(seat.request).pause(seat.at_desk.partner.partner_id, seat.visit.session.subject)
    return go_to(seat.to("/partner/notifications", done="paused"))


@router.post("/resume")
async def resume(seat: Sending) -> Response:
    """The subscriber is told again what happens."""
    await _subscribers(seat.request).resume(seat.at_desk.partner.partner_id, seat.visit.session.subject)
    return go_to(seat.to("/partner/notifications", done="resumed"))


@router.api_route("/leave", methods=["GET", "HEAD"])
async def ask_to_leave(seat: Looking) -> HTMLResponse:
    """Says what leaving means, and asks once."""
    if seat.desk is None or seat.desk.subscriber is None:
        return _choose(seat, HTTPStatus.NOT_FOUND)
    return seat.show("partner_leave.html", place="notifications")


@router.post("/leave")
async def leave(seat: Sending) -> HTMLResponse:
    """The subscription ends, and its address goes. Who was nothing but a subscriber is signed out by that."""
    partner_id, subject = seat.at_desk.partner.partner_id, seat.visit.session.subject
    await _subscribers(seat.request).end(partner_id, subject)
    if await _desks(seat.request).partners_of(subject):
        at = seat.languages_at("/partner/notifications")
        return seat.show("partner_left.html", place=None, may_stay=True, languages_at=at)
    at = f"/{Door.PARTNER}/sign-in?"
    answer = seat.show("partner_left.html", place=None, may_stay=False, languages_at=at, partner=None, address=None)
    forget_session(seat.request, answer, Door.PARTNER)
    return answer


@router.api_route("/credits", methods=["GET", "HEAD"])
async def show_credits(seat: Looking) -> HTMLResponse:
    """What purchases credited to the partner, month by month."""
    if seat.desk is None or not seat.desk.sees_all:
        return _choose(seat, HTTPStatus.NOT_FOUND)
    months = seat.words.months(await _desks(seat.request).months_of_credits(seat.desk))
    return seat.show("partner_credits.html", place="credits", months=months)


@router.api_route("/credits.csv", methods=["GET", "HEAD"])
async def download_credits(seat: Looking) -> Response:
    """Every credited purchase, for a spreadsheet."""
    if seat.desk is None or not seat.desk.sees_all:
        return _choose(seat, HTTPStatus.NOT_FOUND)
    table = as_csv(
        ("purchased_on", "domain", "amount", "currency"),
        (
            (each.purchased_on.isoformat(), each.domain, str(each.purchase.amount), each.purchase.currency)
            for each in await _desks(seat.request).credits(seat.desk)
        ),
    )
    headers = {**HEADERS, "Content-Disposition": 'attachment; filename="credits.csv"'}
    return Response(table, media_type="text/csv; charset=utf-8", headers=headers)


def _notifications(
    seat: Seat,
    status: HTTPStatus = HTTPStatus.OK,
    *,
    done: str | None = None,
    sent: dict[str, list[str]] | None = None,
) -> HTMLResponse:
    if seat.desk is None:
        return _choose(seat)
    subscriber, words = seat.desk.subscriber, seat.words
    # Of a partner nobody has told us about the language is not known: mails are to be in the reader's.
    choice = subscriber.choice if subscriber else Choice(language=None if seat.desk.is_known else seat.language)
    wanted = sent.get("action", []) if sent else [action.value for action in choice.actions or ()]
    return seat.show(
        "partner_notifications.html",
        status,
        place="notifications",
        words=words,
        state=subscriber.state.value if subscriber else None,
        choice=choice,
        chosen_actions=wanted,
        chosen_all=sent.get("extent") == ["all"] if sent else choice.actions is None,
        kinds=kinds(),
        mails_to=subscriber.email if subscriber else seat.visit.session.address,
        next_mail=words.moment(seat.desk.next_mail) if seat.desk.next_mail else None,
        is_incomplete=sent is not None,
        done=done,
    )


def _choose(seat: Seat, status: HTTPStatus = HTTPStatus.OK) -> HTMLResponse:
    """The partners to choose from; also for who asks for one it does not act for."""
    asked = seat.request.query_params.get("partner")
    is_missing = status is HTTPStatus.NOT_FOUND or bool(asked and seat.desk is None)
    partners = [(choice.partner_id, _name(choice)) for choice in seat.choices]
    status = HTTPStatus.NOT_FOUND if is_missing else status
    return seat.show("partner_choose.html", status, place=None, partners=partners, is_missing=is_missing)


def _with_query(path: str, query: Mapping[str, str | int | None]) -> str:
    given = urlencode({name: value for name, value in query.items() if value is not None})
    return f"{path}?{given}" if given else path


def _name(partner: Partner) -> str:
    return shown(partner.name) or partner.partner_id


def _desks(request: Request) -> PartnerDesk:
    operations: PartnerDesk = request.app.state.parts.partner_desk
    return operations


def _subscribers(request: Request) -> Subscribers:
    operations: Subscribers = request.app.state.parts.subscribers
    return operations
