"""What a registration's workflow has done for it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Protocol, TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError

from consentflow.domain.errors import (
    ConfigurationFault,
    NotFound,
    OutcomeUnsure,
    RecipientRefused,
    StorageUnavailable,
    TransientFailure,
)
from consentflow.domain.letters import FrozenMail, LetterKind
from consentflow.domain.registrations import Course
from consentflow.operations.sending import FAULT_PAUSE, NotYet, Sending

GREYLISTED = timedelta(minutes=6)
"""When to come back after a 4yz reply: greylisting servers want 5 to 30 minutes (RFC 6647 section 5)."""

BEAT = timedelta(seconds=10)
"""Between two signs of life of a slow attempt; well below the workflows' heartbeat time-out."""

T = TypeVar("T")


class Mailer(Protocol):
    """Hands a mail to a server."""

    async def send(self, mail: FrozenMail) -> str:
        """Sends the frozen bytes; returns the server's reply. Raises `SendingFailed`."""


class RegistrationActivities:
    """The outward effects of a registration, one method each. Every one may be run again without harm."""

    def __init__(self, sending: Sending, mailer: Mailer) -> None:
        self._sending = sending
        self._mailer = mailer

    @activity.defn(name="registration.send_double_opt_in")
    async def send_double_opt_in(self, registration_id: str) -> Course:
        """Asks the question, unless it need not be asked any more."""
        return await _in_temporals_words(self._send(registration_id, LetterKind.DOUBLE_OPT_IN))

    @activity.defn(name="registration.send_notice")
    async def send_notice(self, registration_id: str) -> Course:
        """Gives the notice, unless it need not be given any more."""
        return await _in_temporals_words(self._send(registration_id, LetterKind.NOTICE))

    @activity.defn(name="registration.lapse")
    async def lapse(self, registration_id: str) -> Course:
        """Lets an unanswered question lapse."""
        return await _in_temporals_words(self._sending.lapse(registration_id))

    async def _send(self, registration_id: str, kind: LetterKind) -> Course:
        due = await self._sending.begin(registration_id, kind)
        if isinstance(due, Course):
            return due
        if due.mail is None:
            raise NotFound("mail content")
        try:
            async with _heartbeating():
                reply = await self._mailer.send(due.mail)
        except RecipientRefused as failure:
            return await self._sending.refused(due.mail_id, failure)
        except OutcomeUnsure as failure:
            if course := await self._sending.unsure(due.mail_id, str(failure)):
                return course
            raise
        except (TransientFailure, ConfigurationFault) as failure:
            await self._sending.postponed(due.mail_id, failure)
            raise
        return await self._sending.accepted(due.mail_id, reply)


@asynccontextmanager
async def _heartbeating() -> AsyncIterator[None]:
    """Tells Temporal that a slow attempt is alive; one that is over before the first beat costs nothing."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(BEAT.total_seconds())
            activity.heartbeat()

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()


async def _in_temporals_words(work: Awaitable[T]) -> T:
    """Translates our verdicts: what passes is retried, what stays is not. No text carries personal data."""
    try:
        return await work
    except NotYet as wait:
        raise ApplicationError("not yet", type="NotYet", next_retry_delay=wait.wait) from None
    except ConfigurationFault as fault:
        text = f"the mail server refuses our set-up: {fault}"
        raise ApplicationError(text, type="ConfigurationFault", next_retry_delay=FAULT_PAUSE) from None
    except (TransientFailure, OutcomeUnsure) as failure:
        later = GREYLISTED if failure.code is not None else None
        raise ApplicationError(str(failure), type=type(failure).__name__, next_retry_delay=later) from None
    except StorageUnavailable as failure:
        raise ApplicationError(str(failure), type="StorageUnavailable") from None
    except NotFound as missing:
        raise ApplicationError(f"no such {missing}", type="NotFound", non_retryable=True) from None
    except Exception as error:
        raise ApplicationError("unexpected", type=type(error).__name__) from None
