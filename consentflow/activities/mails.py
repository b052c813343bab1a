"""What is done for a mail that no registration sends."""

from uuid import UUID

from temporalio import activity

from consentflow.activities.conversation import Mailer, hand_over, in_temporals_words
from consentflow.operations.posting import Outcome, Posting


class MailActivities:
    """Sends mails that are frozen already. May be run again without harm."""

    def __init__(self, posting: Posting, mailer: Mailer) -> None:
        self._posting = posting
        self._mailer = mailer

    @activity.defn(name="mail.send")
    async def send(self, mail_id: str) -> str:
        """Sends the mail, unless it need not leave any more; how it ended (`Outcome`)."""
        return await in_temporals_words(send_posted(self._posting, self._mailer, UUID(mail_id)))


async def send_posted(posting: Posting, mailer: Mailer, mail_id: UUID) -> Outcome:
    """One attempt at a frozen mail that need not have been the first."""
    due = await posting.begin(mail_id)
    return due if isinstance(due, Outcome) else await hand_over(mailer, due, posting)
