"""Partners, the companies they own, and what purchases credited to them. No person of a lead's side is in any of it."""

from datetime import date, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Request
from fastapi.responses import Response
from pydantic import BaseModel

from consentflow.api.auth import requires
from consentflow.api.paging import After, Most
from consentflow.api.problems import also
from consentflow.domain.letters import Language
from consentflow.domain.notifications import Action
from consentflow.domain.partner_intake import PartnerIn
from consentflow.domain.partners import Partner
from consentflow.domain.purchases import Credit
from consentflow.domain.spreadsheets import as_csv
from consentflow.operations.credits import Credits
from consentflow.operations.keys import Role
from consentflow.operations.partners import OwnedCompany, Partners

router = APIRouter(prefix="/v1/partners/{partner_id}", tags=["partners"])

PartnerId = Annotated[str, Path(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._:-]+$")]
MAY_CHANGE = Depends(requires(Role.REGISTRAR))
MAY_LOOK = Depends(requires(Role.REGISTRAR, Role.OFFICER))


class PartnerOut(BaseModel):
    """What is known of a partner."""

    partner_id: str
    name: str
    language: Language
    timezone: str

    @classmethod
    def of(cls, partner: Partner) -> "PartnerOut":
        """The resource as callers see it."""
        return cls(
            partner_id=partner.partner_id, name=partner.name, language=partner.language, timezone=partner.time_zone
        )


class DeedOut(BaseModel):
    """How often a company did one thing on one day of the partner's time zone. Nothing finer is told."""

    day: date
    action: Action
    count: int


class CompanyOut(BaseModel):
    """A company that the partner owns, and what it did lately, the latest day first."""

    domain: str
    name: str | None
    owned_since: datetime
    owned_until: datetime
    lately: list[DeedOut]

    @classmethod
    def of(cls, company: OwnedCompany) -> "CompanyOut":
        """The resource as callers see it."""
        return cls(
            domain=company.domain,
            name=company.name,
            owned_since=company.since,
            owned_until=company.until,
            lately=[DeedOut(day=deed.day, action=deed.action, count=deed.count) for deed in company.lately],
        )


class CompaniesOut(BaseModel):
    """A page of companies, by domain. ``after`` leads to the next page, null on the last."""

    companies: list[CompanyOut]
    after: str | None


class CreditOut(BaseModel):
    """A purchase that counts for the partner. ``amount`` is a decimal number as a text."""

    domain: str
    amount: str
    currency: str
    purchased_on: date

    @classmethod
    def of(cls, credit: Credit) -> "CreditOut":
        """The resource as callers see it."""
        return cls(
            domain=credit.domain,
            amount=f"{credit.purchase.amount:.2f}",
            currency=credit.purchase.currency,
            purchased_on=credit.purchased_on,
        )


class CreditsOut(BaseModel):
    """A page of credits, the latest first. ``after`` leads to the next page, null on the last."""

    credits: list[CreditOut]
    after: str | None


def _partners(request: Request) -> Partners:
    operations: Partners = request.app.state.parts.partners
    return operations


def _credits(request: Request) -> Credits:
    operations: Credits = request.app.state.parts.credits
    return operations


Operations = Annotated[Partners, Depends(_partners)]


@router.put("", dependencies=[MAY_CHANGE])
async def put(partner_id: PartnerId, body: Annotated[PartnerIn, Body()], operations: Operations) -> PartnerOut:
    """Keeps what a partner is called, and the language and time zone its people are told in."""
    return PartnerOut.of(await operations.put(body.as_partner(partner_id)))


@router.get("", dependencies=[MAY_LOOK], responses=also(404))
async def show(partner_id: PartnerId, operations: Operations) -> PartnerOut:
    """What is known of a partner."""
    return PartnerOut.of(await operations.find(partner_id))


@router.get("/companies", dependencies=[MAY_LOOK])
async def list_companies(partner_id: PartnerId, operations: Operations, after: After, most: Most = 50) -> CompaniesOut:
    """The companies that the partner owns, until when, and what they did in the last 30 days: never which person."""
    page = await operations.companies(partner_id, after, most)
    return CompaniesOut(
        companies=[CompanyOut.of(company) for company in page.entries], after=str(page.after) if page.after else None
    )


@router.get("/credits", dependencies=[MAY_LOOK])
async def list_credits(
    partner_id: PartnerId, operations: Annotated[Credits, Depends(_credits)], after: After, most: Most = 50
) -> CreditsOut:
    """What companies bought while the partner owned them, whoever closed it."""
    page = await operations.of(partner_id, after, most)
    return CreditsOut(
        credits=[CreditOut.of(credit) for credit in page.entries], after=str(page.after) if page.after else None
    )


@router.get(
    "/credits.csv",
    dependencies=[MAY_LOOK],
    response_class=Response,
    responses={HTTPStatus.OK: {"description": "All of them.", "content": {"text/csv": {"schema": {"type": "string"}}}}},
)
async def export_credits(partner_id: PartnerId, operations: Annotated[Credits, Depends(_credits)]) -> Response:
    """The same for a spreadsheet program: all of them, as CSV in UTF-8."""
    found = [CreditOut.of(credit) for credit in await operations.all_of(partner_id)]
    table = as_csv(
        ("purchased_on", "domain", "amount", "currency"),
        ((each.purchased_on.isoformat(), each.domain, each.amount, each.currency) for each in found),
    )
    attached = {"Content-Disposition": 'attachment; filename="credits.csv"'}
    return Response(table, media_type="text/csv; charset=utf-8", headers=attached)
