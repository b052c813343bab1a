"""Errors as problem documents (RFC 9457): a stable ``code``, no personal data, no traceback."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from consentflow.domain.errors import Conflict, InvalidInput, NotFound, StorageUnavailable
from consentflow.domain.faults import Fault, faults_of

MEDIA_TYPE = "application/problem+json"

_log = structlog.get_logger("consentflow.api")


class FieldError(BaseModel):
    """One field that cannot be accepted."""

    pointer: str
    code: str
    detail: str


class Problem(BaseModel):
    """What went wrong. ``code`` is stable; ``errors`` points to each field that is not right."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str | None = None
    errors: list[FieldError] | None = None


def problem(
    status: HTTPStatus,
    code: str,
    detail: str | None = None,
    *,
    errors: list[FieldError] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """A problem document as a response."""
    return _answer(as_problem(status, code, detail, errors=errors), headers)


def as_problem(
    status: HTTPStatus, code: str, detail: str | None = None, *, errors: list[FieldError] | None = None
) -> Problem:
    """A problem document."""
    return Problem(title=status.phrase, status=status, code=code, detail=detail, errors=errors)


def field_errors(errors: Sequence[Any], skip: int = 0) -> list[FieldError]:
    """Validation errors without the values; an unknown field is named only if its name is harmless.

    Args:
        errors: As pydantic tells them.
        skip: How many leading parts of each location name our own parameters.
    """
    return as_field_errors(faults_of(errors, skip))


def as_field_errors(faults: Sequence[Fault]) -> list[FieldError]:
    """Faults as a problem document tells them."""
    return [FieldError(pointer=fault.pointer, code=fault.code, detail=fault.reason) for fault in faults]


def problem_of(error: InvalidInput | NotFound | Conflict | StorageUnavailable) -> Problem:
    """The problem document of an error that operations raise."""
    match error:
        case InvalidInput():
            errors = [FieldError(pointer=error.pointer, code=error.code, detail=error.reason)]
            return as_problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", errors=errors)
        case NotFound():
            return as_problem(HTTPStatus.NOT_FOUND, "not_found", f"There is no such {error}.")
        case Conflict():
            return as_problem(HTTPStatus.CONFLICT, error.code, _CONFLICTS.get(error.code, str(error)))
        case StorageUnavailable():
            detail = "The database cannot be reached. Nothing was stored; try again."
            return as_problem(HTTPStatus.SERVICE_UNAVAILABLE, "storage_unavailable", detail)


def install(app: FastAPI) -> None:
    """Lets the application answer every error with a problem document."""
    _document(app)

    @app.exception_handler(RequestValidationError)
    async def invalid_request(_: Request, error: RequestValidationError) -> JSONResponse:
        if any(each["type"] == "json_invalid" for each in error.errors()):
            return problem(HTTPStatus.BAD_REQUEST, "malformed_json", "The body is not JSON.")
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", errors=field_errors(error.errors(), skip=1))

    @app.exception_handler(InvalidInput)
    async def invalid_input(_: Request, error: InvalidInput) -> JSONResponse:
        return _answer(problem_of(error))

    @app.exception_handler(NotFound)
    async def not_found(_: Request, error: NotFound) -> JSONResponse:
        return _answer(problem_of(error))

    @app.exception_handler(Conflict)
    async def conflict(_: Request, error: Conflict) -> JSONResponse:
        return _answer(problem_of(error))

    @app.exception_handler(StorageUnavailable)
    async def unavailable(_: Request, error: StorageUnavailable) -> JSONResponse:
        _log.warning("postgres is not there", error=str(error))
        return _answer(problem_of(error), {"Retry-After": "5"})

    @app.exception_handler(HTTPException)
    async def http_error(_: Request, error: HTTPException) -> JSONResponse:
        status = HTTPStatus(error.status_code)
        code = status.phrase.lower().replace(" ", "_").replace("-", "_")
        return problem(status, code, headers=error.headers)

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> JSONResponse:
        _log.error("unexpected", error=type(error).__name__)
        return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error")


def _answer(document: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
    content = document.model_dump(exclude_none=True)
    return JSONResponse(content, document.status, media_type=MEDIA_TYPE, headers=dict(headers or {}))


def _document(app: FastAPI) -> None:
    """Lets the OpenAPI document say that problems come as problem documents; FastAPI knows one media type only."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        for path in document["paths"].values():
            for operation in path.values():
                for response in operation["responses"].values():
                    if MEDIA_TYPE in response.get("content", {}):
                        response["content"] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        return document

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way


_CONFLICTS = {"registration_conflict": "The registration id is known with other content."}

RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {}}}
    for status in (400, 401, 403, 408, 413, 422, 429, 503)
}
"""What every endpoint may answer besides its own results."""


def also(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Further problem answers of an endpoint, for the OpenAPI document."""
    return {s: {"model": Problem, "description": HTTPStatus(s).phrase, "content": {MEDIA_TYPE: {}}} for s in statuses}
