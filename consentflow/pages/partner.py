"""The page of a partner's people: their companies, what they are told and how often, what purchases credited.

Whoever is signed in sees its own partners only, and of their companies nothing finer than the day.
"""

import re
from http import HTTPStatus
from typing import Annotated

from fastapi import Query
from fastapi.responses import HTMLResponse, Response

from consentflow.domain.partners import Choice, SubscriberState
from consentflow.domain.sign_in import Door
from consentflow.domain.spreadsheets import as_csv
from consentflow.pages.answers import form_of
from consentflow.pages.partner_seat import Looking, Seat, Sending, name_of, partner_router
from consentflow.pages.partner_words import kinds, read_choice
from consentflow.pages.session import forget_session, go_to

LONGEST_SEARCH = 100
_PAGE_NUMBER = re.compile(r"[1-9][0-9]{0,5}")
_DONE = {"saved", "paused", "resumed"}

router = partner_router()


@router.api_route("", methods=["GET", "HEAD"])
async def show_companies(
    seat: Looking, find: Annotated[str, Query()] = "", number: Annotated[str, Query(alias="page")] = "1"
) -> HTMLResponse:
    """The companies that the partner owns, those that wait for an answer first; or the partners to choose from."""
    if seat.desk is None:
        return _choose(seat)
    wanted = "".join(char for char in find if char.isprintable()).strip()[:LONGEST_SEARCH]
    asked = int(number) if _PAGE_NUMBER.fullmatch(number) else 1
    companies = await seat.desks.companies(seat.desk, wanted, asked)
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
    operations, partner_id = seat.subscribers, desk.partner.partner_id
    if desk.subscriber and desk.subscriber.state is not SubscriberState.PENDING:
        await operations.change(partner_id, session.subject, choice)
    else:
        await operations.join(partner_id, session.subject, session.address, choice)
    return go_to(seat.to("/partner/notifications", done="saved"))


@router.post("/pause")
async def pause(seat: Sending) -> Response:
    """The subscriber is told nothing until it resumes."""
    await seat.subscribers.pause(seat.at_desk.partner.partner_id, seat.visit.session.subject)
    return go_to(seat.to("/partner/notifications", done="paused"))


@router.post("/resume")
async def resume(seat: Sending) -> Response:
    """The subscriber is told again what happens."""
    await seat.subscribers.resume(seat.at_desk.partner.partner_id, seat.visit.session.subject)
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
    await seat.subscribers.end(partner_id, subject)
    if await seat.desks.partners_of(subject):
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
    months = seat.words.months(await seat.desks.months_of_credits(seat.desk))
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
            for each in await seat.desks.credits(seat.desk)
        ),
    )
    headers = {"Content-Disposition": 'attachment; filename="credits.csv"'}
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
    partners = [(choice.partner_id, name_of(choice)) for choice in seat.choices]
    status = HTTPStatus.NOT_FOUND if is_missing else status
    return seat.show("partner_choose.html", status, place=None, partners=partners, is_missing=is_missing)
