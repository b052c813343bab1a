"""What each message in the outbox asks of Temporal: pure, one function a topic.

A call may be made again without harm. One that starts a workflow does so once for its id; one with a signal starts the
workflow if it is not there (it then must understand that the signal came first), and wakes it if it sleeps.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from temporalio.common import SearchAttributeKey, SearchAttributePair
from temporalio.service import RPCError, RPCStatusCode

from consentflow.domain.registrations import Course, Step
from consentflow.operations import announcing, digests, posting, sessions, source_desk
from consentflow.storage.outbox import Payload
from consentflow.workflows.digest import DigestOrder, DigestWorkflow
from consentflow.workflows.mail import MailOrder, MailWorkflow
from consentflow.workflows.registration import RegistrationOrder, RegistrationWorkflow
from consentflow.workflows.sign_in import SignInOrder, SignInWorkflow
from consentflow.workflows.source_request import SourceRequestOrder, SourceRequestWorkflow

REGIME = SearchAttributeKey.for_keyword("Regime")
KIND = SearchAttributeKey.for_keyword("RegistrationKind")
DUE_AT = SearchAttributeKey.for_datetime("DueAt")
SEARCH_ATTRIBUTES = (REGIME, KIND, DUE_AT)

_REFUSED = frozenset(
    {
        RPCStatusCode.UNIMPLEMENTED,
        RPCStatusCode.PERMISSION_DENIED,
        RPCStatusCode.UNAUTHENTICATED,
        RPCStatusCode.INVALID_ARGUMENT,
        RPCStatusCode.FAILED_PRECONDITION,
        RPCStatusCode.NOT_FOUND,
    }
)

Searchable: TypeAlias = SearchAttributePair[str] | SearchAttributePair[datetime]


@dataclass(frozen=True, slots=True)
class Call:
    """One call to Temporal.

    Args:
        run: The workflow's run method.
        order: What it starts with.
        workflow_id: Names the matter; the same matter has one workflow.
        begins_at: When its first task is due, UTC; None for at once. Without effect on a signal.
        signal: What it is told, by name; None for a mere start.
        told: With what.
        summary: In words, for operators; no personal data.
        searchable: What operators can filter by.
    """

    run: Callable[..., Awaitable[object]]
    order: object
    workflow_id: str
    begins_at: datetime | None = None
    signal: str | None = None
    told: tuple[object, ...] = ()
    summary: str | None = None
    searchable: tuple[Searchable, ...] = ()


def refused(error: RPCError) -> bool:
    """Whether Temporal will not do it, ask as often as you like; else it is away, or busy."""
    return error.status in _REFUSED


def call_of(topic: str, payload: Payload) -> Call:
    """What a message asks for.

    Raises:
        KeyError: This version knows no such topic, or the message lacks something.
        ValueError: The message holds something else than it should.
    """
    return _TOPICS[topic](payload)


def _start_registration(payload: Payload) -> Call:
    order = _registration(payload)
    return Call(
        RegistrationWorkflow.run,
        order,
        f"registration/{order.registration_id}",
        begins_at=order.course.at,
        summary=_summary(payload, order.course),
        searchable=_searchable(payload, order.course),
    )


def _steer_registration(payload: Payload) -> Call:
    order = _registration(payload)
    return Call(
        RegistrationWorkflow.run,
        order,
        f"registration/{order.registration_id}",
        signal="steer",
        told=(order.course,),
        summary=_summary(payload, order.course),
        searchable=_searchable(payload, order.course),
    )


def _send_mail(payload: Payload) -> Call:
    mail_id = str(payload["mail_id"])
    return Call(MailWorkflow.run, MailOrder(mail_id), f"mail/{mail_id}")


def _answer_sign_in(payload: Payload) -> Call:
    sign_in_id = str(payload["sign_in_id"])
    return Call(SignInWorkflow.run, SignInOrder(sign_in_id), f"sign-in/{sign_in_id}")


def _start_digest(payload: Payload) -> Call:
    order = DigestOrder(str(payload["digest_id"]), int(payload["revision"] or 0))
    due_at = datetime.fromisoformat(str(payload["due_at"]))
    return Call(
        DigestWorkflow.run,
        order,
        f"digest/{order.digest_id}" + (f"/{order.revision}" if order.revision else ""),
        begins_at=due_at,
        summary=f"digest: due at {due_at:%Y-%m-%d %H:%M} UTC",
    )


def _start_source_request(payload: Payload) -> Call:
    request_id = str(payload["request_id"])
    return Call(
        SourceRequestWorkflow.run,
        SourceRequestOrder(request_id),
        f"source-request/{request_id}",
        summary="a data-source request",
    )


def _nudge_source_request(payload: Payload) -> Call:
    request_id = str(payload["request_id"])
    return Call(
        SourceRequestWorkflow.run,
        SourceRequestOrder(request_id),
        f"source-request/{request_id}",
        signal="nudge",
        summary="a data-source request",
    )


_TOPICS: Mapping[str, Callable[[Payload], Call]] = {
    announcing.START: _start_registration,
    announcing.STEER: _steer_registration,
    posting.SEND: _send_mail,
    digests.START: _start_digest,
    sessions.ASKED: _answer_sign_in,
    source_desk.START: _start_source_request,
    source_desk.NUDGE: _nudge_source_request,
}


def _registration(payload: Payload) -> RegistrationOrder:
    at = payload["at"]
    course = Course(
        revision=int(payload["revision"] or 0),
        step=Step(str(payload["step"])),
        at=datetime.fromisoformat(at) if isinstance(at, str) else None,
    )
    return RegistrationOrder(str(payload["registration_id"]), course)


def _summary(payload: Payload, course: Course) -> str:
    when = f" at {course.at:%Y-%m-%d %H:%M} UTC" if course.at else ""
    return f"{payload['regime']}: {course.step.value}{when}"


def _searchable(payload: Payload, course: Course) -> tuple[Searchable, ...]:
    pairs: tuple[Searchable, ...] = (
        SearchAttributePair(REGIME, str(payload["regime"])),
        SearchAttributePair(KIND, str(payload["kind"])),
    )
    return (*pairs, SearchAttributePair(DUE_AT, course.at)) if course.at else pairs
