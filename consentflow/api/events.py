"""Events from the vendor's site."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import from_json

from consentflow.api.auth import requires
from consentflow.api.problems import FieldError, field_errors, problem
from consentflow.domain.errors import InvalidInput
from consentflow.domain.events import MOST_PER_BATCH, CloudEvent, EventData, as_list
from consentflow.operations.events import Events
from consentflow.operations.keys import Role

router = APIRouter(prefix="/v1", tags=["events"])


def _self_contained(schema: dict[str, Any]) -> dict[str, Any]:
    """The event's schema with its data in place: a reference into itself would lead nowhere in the whole document."""
    data = schema.pop("$defs")[EventData.__name__]
    return schema | {"properties": schema["properties"] | {"data": data}}


_SINGLE = "application/cloudevents+json"
_BATCH = "application/cloudevents-batch+json"
_EVENT = _self_contained(CloudEvent.model_json_schema())
_batch = TypeAdapter(list[CloudEvent])


class CountsOut(BaseModel):
    """What became of the events: taken up, seen before, or matching nothing."""

    accepted: int
    duplicate: int
    unmatched: int


def _events(request: Request) -> Events:
    operations: Events = request.app.state.parts.events
    return operations


@router.post(
    "/events",
    status_code=202,
    response_model=CountsOut,
    dependencies=[Depends(requires(Role.TRACKER))],
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                _SINGLE: {"schema": _EVENT},
                _BATCH: {"schema": {"type": "array", "maxItems": MOST_PER_BATCH, "items": _EVENT}},
            },
        }
    },
)
async def record(request: Request, operations: Annotated[Events, Depends(_events)]) -> CountsOut | JSONResponse:
    """Takes CloudEvents 1.0 in structured JSON, one or a batch; repeats by ``source`` and ``id`` are ignored."""
    try:
        body: object = from_json(await request.body())
    except ValueError:
        return problem(HTTPStatus.BAD_REQUEST, "malformed_json", "The body is not JSON.")
    members = as_list(body)
    if len(members) > MOST_PER_BATCH:
        return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_many", f"At most {MOST_PER_BATCH} events at once.")
    try:
        events = _batch.validate_python(members)
        counts = await operations.record(events)
    except ValidationError as error:
        fields = field_errors(error.errors(include_url=False, include_input=False), skip=0 if members is body else 1)
        return problem(HTTPStatus.BAD_REQUEST, "malformed_event", errors=fields)
    except InvalidInput as error:
        pointer = error.pointer if members is body else error.pointer.removeprefix("/0")
        fields = [FieldError(pointer=pointer, code=error.code, detail=error.reason)]
        return problem(HTTPStatus.BAD_REQUEST, "malformed_event", errors=fields)
    return CountsOut(accepted=counts.accepted, duplicate=counts.duplicate, unmatched=counts.unmatched)
