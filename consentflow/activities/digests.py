"""What is done for a notification to a subscriber."""

from uuid import UUID

from temporalio import activity

from consentflow.activities.conversation import Mailer, in_temporals_words
from consentflow.activities.mails import send_posted
from consentflow.operations.posting import Posting
from consentflow.operations.telling import Digests

NOTHING_TO_TELL = "nothing_to_tell"
"""How a digest ends that has no mail."""


class DigestActivities:
    """Tells subscribers what was collected for them. May be run again without harm."""

    def __init__(self, digests: Digests, posting: Posting, mailer: Mailer) -> None:
        self._digests = digests
        self._posting = posting
        self._mailer = mailer

    @activity.defn(name="digest.send")
    async def send(self, digest_id: str, revision: int) -> str:
        """Decides what to tell, once, and sends it; how that ended (`Outcome`, or that there was nothing)."""
        return await in_temporals_words(self._send(UUID(digest_id), revision))

    async def _send(self, digest_id: UUID, revision: int) -> str:
        mail_id = await self._digests.begin(digest_id, revision)
        return NOTHING_TO_TELL if mail_id is None else await send_posted(self._posting, self._mailer, mail_id)
