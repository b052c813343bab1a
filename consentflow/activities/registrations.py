"""What a registration's workflow has done for it."""

from temporalio import activity

from consentflow.activities.conversation import Mailer, hand_over, in_temporals_words
from consentflow.domain.letters import LetterKind
from consentflow.domain.registrations import Course
from consentflow.operations.sending import Sending


class RegistrationActivities:
    """The outward effects of a registration, one method each. Every one may be run again without harm."""

    def __init__(self, sending: Sending, mailer: Mailer) -> None:
        self._sending = sending
        self._mailer = mailer

    @activity.defn(name="registration.send_double_opt_in")
    async def send_double_opt_in(self, registration_id: str) -> Course:
        """Asks the question, unless it need not be asked any more."""
        return await in_temporals_words(self._send(registration_id, LetterKind.DOUBLE_OPT_IN))

    @activity.defn(name="registration.send_notice")
    async def send_notice(self, registration_id: str) -> Course:
        """Gives the notice, unless it need not be given any more."""
        return await in_temporals_words(self._send(registration_id, LetterKind.NOTICE))

    @activity.defn(name="registration.lapse")
    async def lapse(self, registration_id: str) -> Course:
        """Lets an unanswered question lapse."""
        return await in_temporals_words(self._sending.lapse(registration_id))

    async def _send(self, registration_id: str, kind: LetterKind) -> Course:
        due = await self._sending.begin(registration_id, kind)
        return due if isinstance(due, Course) else await hand_over(self._mailer, due, self._sending)
