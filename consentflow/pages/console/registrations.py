"""One registration: why its lead was mailed or not, and everything that happened."""

from typing import Annotated
from uuid import UUID

from fastapi import Path, Response

from consentflow.mail.reading import ReadMail, read_frozen
from consentflow.operations.explanations import Explanation
from consentflow.pages.console.desk import Looking, console_router

router = console_router()


@router.api_route("/registrations/{registration_id}", methods=["GET", "HEAD"])
async def why(desk: Looking, registration_id: Annotated[str, Path(max_length=64)]) -> Response:
    """The decision, what it rests on, and what came of it."""
    explanation = await desk.parts.explanations.explain(registration_id, desk.actor)
    return desk.show("registration.html", explanation=explanation, texts=_texts(explanation))


def _texts(explanation: Explanation) -> dict[UUID, ReadMail]:
    return {mail.mail_id: read_frozen(mail.content) for mail in explanation.mails if mail.content is not None}
