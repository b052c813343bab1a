"""Registrations in bulk: one a line, and a result for each, while they still come in."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from datetime import datetime
from http import HTTPStatus
from itertools import islice
from time import monotonic
from typing import Annotated, Final

import structlog
from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from consentflow.api.auth import requires
from consentflow.api.problems import Problem, also, as_field_errors, as_problem, problem, problem_of
from consentflow.api.streaming import Pieces, StalledError, Streamed
from consentflow.domain.errors import StorageUnavailable
from consentflow.domain.lines import LONGEST_LINE, Lines, Row, Unreadable
from consentflow.domain.registrations import State
from consentflow.operations.bulk import SLICE, Bulk, Outcome
from consentflow.operations.keys import Role
from consentflow.operations.registrations import Taken

PATH: Final = "/v1/registrations:batch"

PATIENCE: Final = 10.0
"""Seconds for which lines that were read wait for a database that is away."""

GIVEN_UP_FOR: Final = 5.0
"""Seconds for which all further lines are answered 503 at once, before the database is tried again."""

MEDIA_TYPES: Final = frozenset(
    f"application/{name}"
    for name in ("x-ndjson", "ndjson", "jsonl", "x-jsonl", "jsonlines", "x-jsonlines", "json-lines")
)
"""What one JSON document a line is called; no name of it is registered."""

_STATUS_OF: Final = {
    "malformed_json": HTTPStatus.BAD_REQUEST,
    "not_utf8": HTTPStatus.BAD_REQUEST,
    "too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "invalid": HTTPStatus.UNPROCESSABLE_ENTITY,
}

_log = structlog.get_logger("consentflow.api")

router = APIRouter(tags=["registrations"])


class TakenOut(BaseModel):
    """Where a registration stands, in brief; ``GET /v1/registrations/{id}`` tells the rest. Null is left out."""

    registration_id: str
    state: State
    regime: str
    reason: str
    due_at: datetime | None = None
    company_domain: str | None = None
    company_refusal: str | None = None
    owned_until: datetime | None = None

    @classmethod
    def of(cls, taken: Taken) -> "TakenOut":
        """As callers see it."""
        registration = taken.standing.registration
        return cls(
            registration_id=registration.registration_id,
            state=registration.state,
            regime=registration.regime,
            reason=registration.reason,
            due_at=registration.due_at,
            company_domain=registration.company_domain,
            company_refusal=registration.company_refusal,
            owned_until=taken.standing.owned_until,
        )


class BatchResult(BaseModel):
    """What became of one line: ``registration`` when it was taken, else ``problem``.

    ``status`` is what the line would have been answered by itself: 202 taken now, 200 taken before, 409 and 422
    refused, 400 no JSON, 413 too long, 503 not taken because the database was away: hand it in again. 408 stands only
    in the last line: nothing came any more, and neither this line nor any after it was read.
    """

    line: int
    status: int
    registration_id: str | None = None
    registration: TakenOut | None = None
    problem: Problem | None = None

    def as_line(self) -> bytes:
        """One line of JSON."""
        return self.model_dump_json(exclude_none=True).encode() + b"\n"


_IN = """\
{"registration_id": "r-1", "partner_id": "p-77", "contact": {"email": "lea@firma.example"}, "country": "FR"}
{"registration_id": "r-2", "partner_id": "p-77", "contact": {"email": "nobody"}}
"""
_OUT = """\
{"line":1,"status":202,"registration_id":"r-1","registration":{"registration_id":"r-1","state":"waiting",\
"regime":"delayed_notice","reason":"delayed_notice_region","due_at":"2026-12-22T09:00:00Z",\
"company_domain":"firma.example","owned_until":"2027-05-22T09:00:00Z"}}
{"line":2,"status":422,"registration_id":"r-2","problem":{"type":"about:blank","title":"Unprocessable Entity",\
"status":422,"code":"invalid","errors":[{"pointer":"/contact/email","code":"invalid_address",\
"detail":"This is not an e-mail address that can be written to."}]}}
"""


def _bulk(request: Request) -> Bulk:
    operation: Bulk = request.app.state.parts.bulk
    return operation


@router.post(
    PATH,
    status_code=200,
    dependencies=[Depends(requires(Role.REGISTRAR))],
    response_class=Streamed,
    responses=also(415)
    | {
        200: {
            "model": BatchResult,
            "description": "One result a line, in order. The schema is that of one line.",
            "content": {Streamed.media_type: {"example": _OUT}},
        }
    },
    openapi_extra={
        "requestBody": {
            "description": "One registration a line. The schema is that of one line.",
            "required": True,
            "content": {
                Streamed.media_type: {"schema": {"$ref": "#/components/schemas/RegistrationIn"}, "example": _IN}
            },
        }
    },
)
async def register_all(request: Request, operation: Annotated[Bulk, Depends(_bulk)]) -> JSONResponse:
    """Takes registrations one a line (NDJSON), however many, and answers each line in order, while they come in.

    A line that is refused stops no other. Lines without content are passed over, and counted. Each line is idempotent
    by its id, so the whole can be handed in again. It counts as one request against the key's limit. A client need not
    read before it has sent everything, up to some million lines; one that does nothing for a minute is hung up on.
    """
    media_type = request.headers.get("content-type", Streamed.media_type).partition(";")[0].strip().lower()
    if media_type not in MEDIA_TYPES:
        detail = f"One JSON document a line is wanted, as {Streamed.media_type}."
        return problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        detail = "The body is wanted as it is, not compressed."
        return problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail, headers={"Accept-Encoding": "identity"}
        )
    return Streamed(_Batch(operation).answer)


class _Batch:
    """One batch, from its first line to its last."""

    def __init__(self, operation: Bulk) -> None:
        self._operation = operation
        self._lines = Lines(LONGEST_LINE)
        self._given_up_until = 0.0

    async def answer(self, pieces: Pieces) -> AsyncGenerator[bytes, None]:
        """Results, as soon as lines are there: what has come in goes together, a slice at a time."""
        answered = False
        try:
            async for piece in pieces:
                for rows in _slices(self._lines.feed(piece)):
                    yield await self._take(rows)
                    answered = True
        except StalledError:
            if not answered:
                raise
            yield _stalled(self._lines.next)
        else:
            for rows in _slices(self._lines.end()):
                yield await self._take(rows)

    async def _take(self, rows: Sequence[Row]) -> bytes:
        if monotonic() < self._given_up_until:
            away = StorageUnavailable("not tried again yet")
            outcomes = [Outcome(row, row.said if isinstance(row.said, Unreadable) else away) for row in rows]
        else:
            outcomes = await self._operation.take(rows, PATIENCE)
            if lost := [each for each in outcomes if isinstance(each.result, StorageUnavailable)]:
                self._given_up_until = monotonic() + GIVEN_UP_FOR
                _log.warning("postgres is not there", error=str(lost[0].result))
        return b"".join(_result(outcome).as_line() for outcome in outcomes)


def _slices(rows: Iterable[Row]) -> Iterable[Sequence[Row]]:
    waiting = iter(rows)
    return iter(lambda: tuple(islice(waiting, SLICE)), ())


def _result(outcome: Outcome) -> BatchResult:
    line, registration_id = outcome.row.number, outcome.row.registration_id
    match outcome.result:
        case Taken() as taken:
            status = HTTPStatus.ACCEPTED if taken.new else HTTPStatus.OK
            registration = TakenOut.of(taken)
            return BatchResult(line=line, status=status, registration_id=registration_id, registration=registration)
        case Unreadable(code=code, detail=detail, faults=faults):
            refusal = as_problem(_STATUS_OF[code], code, detail, errors=as_field_errors(faults) or None)
        case error:
            refusal = problem_of(error)
    return BatchResult(line=line, status=refusal.status, registration_id=registration_id, problem=refusal)


def _stalled(line: int) -> bytes:
    detail = "Nothing came any more; neither this line nor any after it was read."
    refusal = as_problem(HTTPStatus.REQUEST_TIMEOUT, "request_timeout", detail)
    return BatchResult(line=line, status=refusal.status, problem=refusal).as_line()
