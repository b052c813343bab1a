"""The first page: today's work, and whether the service is well; and the language of all pages."""

from fastapi import Response

from consentflow.domain.letters import Language
from consentflow.pages.console.desk import Looking, Sending, console_router
from consentflow.pages.session import go_to

router = console_router()


@router.api_route("", methods=["GET", "HEAD"])
async def today(desk: Looking) -> Response:
    """What there is to do, the most urgent first."""
    return desk.show("today.html", today=await desk.parts.worklist.today())


@router.post("/language")
async def choose_language(desk: Sending) -> Response:
    """The pages speak another language for as long as the session lasts."""
    wanted = (await desk.form()).get("language")
    if wanted in set(Language):
        await desk.parts.sessions.set_language(desk.visit.session.door, desk.visit.key, Language(str(wanted)))
    return go_to("/console")
