"""Finding a person, a company or a registration.

What is looked for is sent by a form, so that no address ever stands in a URL or in a log; the page that follows is
named by a pseudonym, a domain or an id.
"""

from http import HTTPStatus
from typing import Annotated

from fastapi import Path, Query, Response

from consentflow.domain.errors import InvalidInput
from consentflow.operations.search import Found
from consentflow.pages.console.desk import Looking, Sending, console_router, mark
from consentflow.pages.session import go_to

router = console_router()

After = Annotated[str | None, Query(max_length=200)]

_PATHS = {
    Found.PERSON: "people",
    Found.REGISTRATION: "registrations",
    Found.COMPANY: "companies",
    Found.REQUEST: "requests",
}


@router.post("/search")
async def search(desk: Sending) -> Response:
    """Leads to what was meant, or says that there is no such thing."""
    text = (await desk.form()).get("text", "")
    try:
        hit = await desk.parts.search.look_up(text)
    except InvalidInput:
        return desk.show("search.html", HTTPStatus.UNPROCESSABLE_ENTITY, text=text, failed=True)
    if hit is None:
        return desk.show("search.html", HTTPStatus.NOT_FOUND, text=text, failed=False)
    return go_to(f"/console/{_PATHS[hit.found]}/{hit.key}")


@router.api_route("/companies/{domain}", methods=["GET", "HEAD"])
async def company(desk: Looking, domain: Annotated[str, Path(max_length=253)], after: After = None) -> Response:
    """The registrations of a company, newest first."""
    found = await desk.parts.search.of_company(domain, mark(after))
    return desk.show("company.html", domain=domain, page=found)
