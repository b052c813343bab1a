"""Registrations and account status."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Path, Request, Response
from pydantic import BaseModel

from consentflow.api.auth import requires
from consentflow.api.problems import also
from consentflow.domain.intake import CorrectionIn, RegistrationIn, Strict
from consentflow.domain.registrations import Kind, State, Status
from consentflow.operations.keys import Role
from consentflow.operations.registrations import Accounts, Registrations, Standing

router = APIRouter(prefix="/v1", tags=["registrations"])

RegistrationId = Annotated[str, Path(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._:-]+$")]


class TimelineEntry(BaseModel):
    """Something that happened to a registration."""

    at: datetime
    event: str
    detail: dict[str, Any]


class RegistrationOut(BaseModel):
    """Where a registration stands and why. Times are UTC."""

    registration_id: str
    kind: Kind
    partner_id: str
    company_domain: str | None
    company_refusal: str | None
    country: str | None
    country_received: str | None
    regime: str
    reason: str
    state: State
    registered_at: datetime
    due_at: datetime | None
    policy_version: str
    status: Status
    owned_until: datetime | None
    deal_reference: str | None
    timeline: list[TimelineEntry]

    @classmethod
    def of(cls, standing: Standing) -> "RegistrationOut":
        """The resource as callers see it."""
        registration = standing.registration
        return cls(
            registration_id=registration.registration_id,
            kind=registration.kind,
            partner_id=registration.partner_id,
            company_domain=registration.company_domain,
            company_refusal=registration.company_refusal,
            country=registration.country,
            country_received=registration.country_received,
            regime=registration.regime,
            reason=registration.reason,
            state=registration.state,
            registered_at=registration.registered_at,
            due_at=registration.due_at,
            policy_version=registration.policy_version,
            status=registration.status_at(standing.as_of),
            owned_until=standing.owned_until,
            deal_reference=registration.deal_reference,
            timeline=[
                TimelineEntry(at=entry.at, event=entry.event, detail=dict(entry.detail)) for entry in standing.timeline
            ],
        )


async def _registrations(request: Request) -> Registrations:
    operations: Registrations = request.app.state.parts.registrations
    return operations


async def _accounts(request: Request) -> Accounts:
    operations: Accounts = request.app.state.parts.accounts
    return operations


Operations = Annotated[Registrations, Depends(_registrations)]


@router.post(
    "/registrations",
    status_code=202,
    response_model=RegistrationOut,
    dependencies=[Depends(requires(Role.REGISTRAR))],
    responses=also(409) | {200: {"model": RegistrationOut, "description": "Taken before; nothing was done twice."}},
)
async def register(body: Annotated[RegistrationIn, Body()], request: Request) -> Response:
    """Takes a registration. The same id and content again changes nothing and answers 200."""
    standing, new = await (await _registrations(request)).register(body)
    resource = RegistrationOut.of(standing).model_dump_json()
    return Response(resource, HTTPStatus.ACCEPTED if new else HTTPStatus.OK, media_type="application/json")


@router.get(
    "/registrations/{registration_id}",
    dependencies=[Depends(requires(Role.REGISTRAR, Role.OFFICER))],
    responses=also(404),
)
async def show(registration_id: RegistrationId, operations: Operations) -> RegistrationOut:
    """Where a registration stands, and its timeline."""
    return RegistrationOut.of(await operations.find(registration_id))


@router.patch(
    "/registrations/{registration_id}",
    dependencies=[Depends(requires(Role.REGISTRAR))],
    responses=also(404, 409),
)
async def correct(
    registration_id: RegistrationId, body: Annotated[CorrectionIn, Body()], operations: Operations
) -> RegistrationOut:
    """Sets the location anew; decides afresh as long as the lead was told nothing final."""
    return RegistrationOut.of(await operations.correct_location(registration_id, body.country))


@router.delete(
    "/registrations/{registration_id}",
    dependencies=[Depends(requires(Role.REGISTRAR))],
    responses=also(404, 409),
)
async def withdraw(registration_id: RegistrationId, operations: Operations) -> RegistrationOut:
    """Takes a registration back; the contact's personal data goes with the last registration that needs it."""
    return RegistrationOut.of(await operations.withdraw(registration_id))


class AccountIn(Strict):
    """What the CRM says of a company."""

    status: Literal["available", "customer", "in_sales_process", "owned_by_representative"]


class AccountOut(BaseModel):
    """An account by its registrable domain."""

    domain: str
    status: str


@router.put("/accounts/{domain}", tags=["accounts"], dependencies=[Depends(requires(Role.REGISTRAR, Role.OFFICER))])
async def set_account_status(
    domain: Annotated[str, Path(max_length=253)],
    body: Annotated[AccountIn, Body()],
    operations: Annotated[Accounts, Depends(_accounts)],
) -> AccountOut:
    """Keeps what the CRM says of a company; leads of companies that are not available are refused."""
    return AccountOut(domain=await operations.set_status(domain, body.status), status=body.status)
