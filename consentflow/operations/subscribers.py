"""Subscribers: those of a partner's people who are told what its companies do, and their way in and out.

A subscriber's address belongs to this role alone: what the same person says as a lead does not touch it, and the other
way round. Everything here happens under the subject's lock.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID, uuid4

from consentflow.domain.addresses import Mailbox, Subject, read_mailbox, subject_of
from consentflow.domain.clock import Clock
from consentflow.domain.errors import InvalidInput, NotFound
from consentflow.domain.letters import Compose, Language, Recipient, last_full_day
from consentflow.domain.paging import Mark, Page
from consentflow.domain.partner_letters import PartnerLetterKind, SubscriptionLetter
from consentflow.domain.partners import (
    CONFIRM_VALIDITY,
    LEAVE_VALIDITY,
    Choice,
    Partner,
    Subscriber,
    SubscriberKind,
    SubscriberState,
)
from consentflow.domain.secrets import derive_key, hash_token, new_token
from consentflow.operations.consent import LinkState
from consentflow.operations.digests import reschedule
from consentflow.operations.posting import Office, dispatch, post
from consentflow.operations.subscribing import activated, add, leave, new_subscriber, note
from consentflow.storage import partners, people, subscribers, tokens
from consentflow.storage.mails import StoredMail
from consentflow.storage.pool import Connection, Database, lock_subject
from consentflow.storage.tokens import Token

LinkPurpose = Literal["subscription", "leave"]


@dataclass(frozen=True, slots=True)
class SubscriberLink:
    """A link in a mail to a subscriber, looked up.

    Args:
        language: The mail's, None when the link is unknown.
        partner: The partner it is about, None when the link cannot be used.
    """

    state: LinkState
    language: Language | None = None
    partner: Partner | None = None


class Subscribers:
    """The operations on subscribers: for the registering side by address, for people by link or when signed in.

    Args:
        window: How long an immediate notification waits for more.
    """

    def __init__(
        self, database: Database, clock: Clock, office: Office, compose: Compose, secret: str, window: timedelta
    ) -> None:
        self._database = database
        self._clock = clock
        self._office = office
        self._compose = compose
        self._subject_key = derive_key(secret, "subject")
        self._window = window

    # By address, for the registering side.

    async def put(self, partner_id: str, email: str, choice: Choice) -> Subscriber:
        """Adds a subscriber, who is asked by mail to confirm; or changes what one is told.

        As long as it has not confirmed, and the mail that asked cannot be used any more, another one asks.

        Raises:
            InvalidInput: This is no address.
        """
        mailbox = _read(email)
        async with self._about(subject_of(mailbox, self._subject_key)) as (connection, subject, now):
            known = await subscribers.find(connection, partner_id, subject)
            if known is None:
                known = new_subscriber(partner_id, subject, mailbox, choice, now, SubscriberKind.PARTNER)
                await add(connection, known, now, "request")
            if known.state is SubscriberState.PENDING and not await tokens.is_valid_about(
                connection, PartnerLetterKind.SUBSCRIPTION, str(known.subscriber_id), now
            ):
                await self._ask(connection, replace(known, choice=choice), now)
                known = replace(known, created_at=now)
            return await self._keep(connection, replace(known, choice=choice), now)

    async def find(self, partner_id: str, email: str) -> Subscriber:
        """One subscriber.

        Raises:
            InvalidInput: This is no address.
            NotFound: No such subscriber.
        """
        subject = subject_of(_read(email), self._subject_key)
        async with self._database.transaction() as connection:
            return await _found(connection, partner_id, subject)

    async def of_partner(self, partner_id: str, after: Mark | None, most: int) -> Page[Subscriber]:
        """A partner's subscribers, in an order that stays."""
        async with self._database.transaction() as connection:
            found = await subscribers.of_partner(connection, partner_id, after.key if after else "", most + 1)
        last = found[most - 1] if len(found) > most else None
        return Page(found[:most], Mark(last.created_at, str(last.subscriber_id)) if last else None)

    async def remove(self, partner_id: str, email: str) -> None:
        """The registering side ends a subscription; address and choice go.

        Raises:
            InvalidInput: This is no address.
            NotFound: No such subscriber.
        """
        async with self._about(subject_of(_read(email), self._subject_key)) as (connection, subject, now):
            await leave(connection, await _found(connection, partner_id, subject), now, "request")

    # By the link in a mail.

    async def look_up(self, purpose: LinkPurpose, token: str) -> SubscriberLink:
        """What a link leads to; changes nothing."""
        async with self._database.transaction() as connection:
            return (await self._link(connection, purpose, token))[0]

    async def confirm(self, token: str) -> SubscriberLink:
        """The button of the mail that asked: its reader has the address and wants to be told. Again changes nothing."""
        async with self._held_by(PartnerLetterKind.SUBSCRIPTION, token) as (connection, now):
            link, subscriber = await self._link(connection, "subscription", token)
            if subscriber and link.state is LinkState.OPEN and await tokens.use(connection, hash_token(token), now):
                if subscriber.state is not SubscriberState.ACTIVE:
                    await self._keep(connection, activated(subscriber, now), now)
                    await note(connection, subscriber, "subscriber_confirmed", now, "button")
                return replace(link, state=LinkState.DONE)
            return link

    async def leave(self, token: str) -> SubscriberLink:
        """The one click that ends a subscription (RFC 8058), or another one that has begun since. Again is friendly."""
        async with self._held_by("leave", token) as (connection, now):
            link, subscriber = await self._link(connection, "leave", token)
            if link.state is LinkState.UNUSABLE:
                return link
            await tokens.use(connection, hash_token(token), now)
            if subscriber:
                await leave(connection, subscriber, now, "link")
            return replace(link, state=LinkState.DONE)

    # By whoever is signed in: the address is proven.

    async def join(self, partner_id: str, subject: Subject, email: str, choice: Choice) -> Subscriber:
        """One of the partner's people subscribes, or takes up again; what was chosen before is replaced.

        Raises:
            NotFound: The person is none of that partner's.
        """
        async with self._about(subject) as (connection, _, now):
            if partner_id not in await people.partners_of(connection, subject):
                raise NotFound("partner")
            known = await subscribers.find(connection, partner_id, subject)
            if known is None:
                mailbox = read_mailbox(email)
                known = new_subscriber(partner_id, subject, mailbox, choice, now, SubscriberKind.PARTNER)
                await add(connection, known, now, "signed_in")
            return await self._take_up(connection, replace(known, choice=choice), now)

    async def change(self, partner_id: str, subject: Subject, choice: Choice) -> Subscriber:
        """A subscriber is told something else from now on.

        Raises:
            NotFound: No such subscriber.
        """
        async with self._about(subject) as (connection, _, now):
            found = await _found(connection, partner_id, subject)
            return await self._keep(connection, replace(found, choice=choice), now)

    async def pause(self, partner_id: str, subject: Subject) -> Subscriber:
        """A subscriber is told nothing until it resumes; again changes nothing.

        Raises:
            NotFound: No such subscriber.
        """
        async with self._about(subject) as (connection, _, now):
            found = await _found(connection, partner_id, subject)
            if found.state is SubscriberState.ACTIVE:
                found = await self._keep(connection, replace(found, state=SubscriberState.PAUSED), now)
                await note(connection, found, "subscriber_paused", now, "signed_in")
            return found

    async def resume(self, partner_id: str, subject: Subject) -> Subscriber:
        """A subscriber is told again what happens; one that has not confirmed has now proven its address.

        Raises:
            NotFound: No such subscriber.
        """
        async with self._about(subject) as (connection, _, now):
            return await self._take_up(connection, await _found(connection, partner_id, subject), now)

    async def end(self, partner_id: str, subject: Subject) -> None:
        """A subscriber leaves; doing so again changes nothing."""
        async with self._about(subject) as (connection, _, now):
            if found := await subscribers.find(connection, partner_id, subject):
                await leave(connection, found, now, "signed_in")

    # At the moment of sending.

    async def still_wanted(self, connection: Connection, mail: StoredMail, _now: datetime) -> bool:
        """Whether a mail that asks may leave: whoever it asks has neither left nor confirmed."""
        subscriber_id = (mail.about or "").split("/")[1]
        subscriber = await subscribers.find_by_id(connection, UUID(subscriber_id))
        return subscriber is not None and subscriber.state is SubscriberState.PENDING

    async def _keep(self, connection: Connection, subscriber: Subscriber, now: datetime) -> Subscriber:
        """Writes a changed subscriber; what is collected for it is told by its new choice."""
        await subscribers.update(connection, subscriber)
        await reschedule(connection, subscriber.subscriber_id, now, window=self._window)
        return subscriber

    async def _take_up(self, connection: Connection, subscriber: Subscriber, now: datetime) -> Subscriber:
        """A subscriber whose address is proven is told from now on, or again."""
        event = "subscriber_confirmed" if subscriber.since is None else "subscriber_resumed"
        if subscriber.state is not SubscriberState.ACTIVE:
            await note(connection, subscriber, event, now, "signed_in")
        return await self._keep(connection, activated(subscriber, now), now)

    async def _ask(self, connection: Connection, subscriber: Subscriber, now: datetime) -> None:
        partner = await partners.find_or_name(connection, subscriber.partner_id)
        language, until = subscriber.choice.language or partner.language, now + CONFIRM_VALIDITY
        confirm = new_token()
        letter = SubscriptionLetter(
            language=language,
            recipient=Recipient(subscriber.email, None, None),
            controller=self._office.controller,
            partner=partner.name,
            confirm=f"{self._office.public_url}/subscription/{confirm}",
            unsubscribe=await leave_link(connection, self._office, subscriber, language, now),
            written_at=now,
            answer_until=last_full_day(until),
        )
        about = f"subscription/{subscriber.subscriber_id}/{uuid4().hex[:8]}"
        mail_id = await post(connection, self._compose, letter, subscriber.subject, about, send_until=until)
        asking = Token(
            purpose="subscription",
            subject=subscriber.subject,
            question_id=None,
            language=language,
            expires_at=until,
            mail_id=mail_id,
            about=str(subscriber.subscriber_id),
        )
        await tokens.keep(connection, hash_token(confirm), asking)
        await dispatch(connection, mail_id)

    async def _link(
        self, connection: Connection, purpose: LinkPurpose, token: str
    ) -> tuple[SubscriberLink, Subscriber | None]:
        found = await tokens.find(connection, hash_token(token), purpose)
        if found is None or found.about is None or found.expires_at <= self._clock.now():
            return SubscriberLink(LinkState.UNUSABLE, found.language if found else None), None
        if purpose == "subscription":
            subscriber = await subscribers.find_by_id(connection, UUID(found.about))
            if subscriber is None:  # has left since
                return SubscriberLink(LinkState.UNUSABLE, found.language), None
            state = LinkState.DONE if found.used_at else LinkState.OPEN
        else:
            subscriber = await subscribers.find(connection, found.about, found.subject)
            state = LinkState.OPEN if subscriber else LinkState.DONE
        partner = await partners.find_or_name(connection, subscriber.partner_id if subscriber else found.about)
        return SubscriberLink(state, found.language, partner), subscriber

    @asynccontextmanager
    async def _about(self, subject: Subject) -> AsyncIterator[tuple[Connection, Subject, datetime]]:
        async with self._database.transaction() as connection:
            await lock_subject(connection, subject)
            yield connection, subject, self._clock.now()

    @asynccontextmanager
    async def _held_by(self, purpose: str, token: str) -> AsyncIterator[tuple[Connection, datetime]]:
        """A transaction that holds the subject of a link, if the link is known."""
        async with self._database.transaction() as connection:
            if found := await tokens.find(connection, hash_token(token), purpose):
                await lock_subject(connection, found.subject)
            yield connection, self._clock.now()


async def leave_link(
    connection: Connection,
    office: Office,
    subscriber: Subscriber,
    language: Language,
    now: datetime,
    mail_id: UUID | None = None,
) -> str:
    """A fresh one-click link that ends the person's subscription with the partner, for a mail to it."""
    text = new_token()
    token = Token(
        purpose="leave",
        subject=subscriber.subject,
        question_id=None,
        language=language,
        expires_at=now + LEAVE_VALIDITY,
        mail_id=mail_id,
        about=subscriber.partner_id,
    )
    await tokens.keep(connection, hash_token(text), token)
    return f"{office.public_url}/unsubscribe/{text}"


def _read(email: str) -> Mailbox:
    try:
        return read_mailbox(email)
    except InvalidInput as error:
        raise InvalidInput("/email", error.code, error.reason) from None


async def _found(connection: Connection, partner_id: str, subject: Subject) -> Subscriber:
    found = await subscribers.find(connection, partner_id, subject)
    if found is None:
        raise NotFound("subscriber")
    return found
