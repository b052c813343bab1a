"""What is done for somebody who asked for a link to sign in."""

from uuid import UUID

from temporalio import activity

from consentflow.activities.conversation import in_temporals_words
from consentflow.operations.sessions import Sessions


class SignInActivities:
    """Answers whoever asked. May be run again without harm."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    @activity.defn(name="sign_in.answer")
    async def answer(self, sign_in_id: str) -> str | None:
        """Freezes the mail with the link and returns its id; None for somebody who may not enter."""
        return await in_temporals_words(self._answer(UUID(sign_in_id)))

    async def _answer(self, sign_in_id: UUID) -> str | None:
        mail_id = await self._sessions.answer(sign_in_id)
        return str(mail_id) if mail_id else None
