"""The conversation with the mail server, and its verdicts in Temporal's words: the same for every mail."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Protocol, TypeVar
from uuid import UUID

from temporalio import activity
from temporalio.exceptions import ApplicationError

from consentflow.domain.errors import (
    ConfigurationFault,
    NotFound,
    OutcomeUnsure,
    RecipientRefused,
    SendingFailed,
    StorageUnavailable,
    TransientFailure,
)
from consentflow.domain.letters import FrozenMail
from consentflow.operations.posting import FAULT_PAUSE, NotYet
from consentflow.storage.mails import StoredMail

GREYLISTED = timedelta(minutes=6)
"""When to come back after a 4yz reply: greylisting servers want 5 to 30 minutes (RFC 6647 section 5)."""

BEAT = timedelta(seconds=10)
"""Between two signs of life of a slow attempt; well below the workflows' heartbeat time-out."""

T = TypeVar("T")
End_co = TypeVar("End_co", covariant=True)


class Mailer(Protocol):
    """Hands a mail to a server."""

    async def send(self, mail: FrozenMail) -> str:
        """Sends the frozen bytes; returns the server's reply. Raises `SendingFailed`."""


class Books(Protocol[End_co]):
    """Where it is written down how a mail's attempt ended; answers with what follows from it."""

    async def accepted(self, mail_id: UUID, reply: str) -> End_co:
        """The server took the mail."""

    async def refused(self, mail_id: UUID, failure: RecipientRefused) -> End_co:
        """The mailbox does not exist."""

    async def unsure(self, mail_id: UUID, reply: str) -> End_co | None:
        """The server had the whole mail and never answered; None when it is to be sent again."""

    async def postponed(self, mail_id: UUID, failure: SendingFailed) -> None:
        """The mail did not leave; the same bytes will be tried again."""


async def hand_over(mailer: Mailer, mail: StoredMail, books: Books[T]) -> T:
    """One attempt to send a mail that `books` has marked as being attempted.

    Raises:
        SendingFailed: It is to be tried again.
        NotFound: Its bytes are gone.
    """
    if mail.mail is None:
        raise NotFound("mail content")
    try:
        async with _heartbeating():
            reply = await mailer.send(mail.mail)
    except RecipientRefused as failure:
        return await books.refused(mail.mail_id, failure)
    except OutcomeUnsure as failure:
        if (end := await books.unsure(mail.mail_id, str(failure))) is not None:
            return end
        raise
    except (TransientFailure, ConfigurationFault) as failure:
        await books.postponed(mail.mail_id, failure)
        raise
    return await books.accepted(mail.mail_id, reply)


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


async def in_temporals_words(work: Awaitable[T]) -> T:
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
