"""Signing in with a mailed link, and the sessions that come of it.

Asking does the same work and says the same whether or not the address is known; a workflow looks it up later and mails
the link, or nothing. The link's page changes nothing until its button is pressed. Of tokens and keys only hashes are
kept.
"""

import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from consentflow.domain.addresses import Subject, read_mailbox, subject_of
from consentflow.domain.clock import Clock
from consentflow.domain.letters import Compose, Language, Recipient
from consentflow.domain.secrets import derive_key, hash_token, new_token
from consentflow.domain.sign_in import (
    LINK_VALIDITY,
    LINKS_COUNT_FOR,
    MOST_LINKS,
    SESSION_IDLE,
    SESSION_VALIDITY,
    Door,
    SignInKind,
    SignInLetter,
)
from consentflow.operations.counting import count_sign_in
from consentflow.operations.posting import Office, post
from consentflow.storage import ledger, mails, officers, outbox, people, sessions, sign_ins, tokens
from consentflow.storage.pool import Connection, Database, lock_subject
from consentflow.storage.sessions import StoredSession
from consentflow.storage.sign_ins import SignIn
from consentflow.storage.tokens import Token

ASKED = "sign_in.asked"
"""The outbox topic of somebody who asked for a link."""

NOTED_EVERY = timedelta(minutes=1)
"""How often it is written down, at most, that a session is in use."""


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is signed in.

    Args:
        address: On record, where the link went.
        language: In which it signed in.
    """

    door: Door
    subject: Subject
    address: str = field(repr=False)
    language: Language


class Sessions:
    """The operations behind both doors."""

    def __init__(self, database: Database, clock: Clock, office: Office, compose: Compose, secret: str) -> None:
        self._database = database
        self._clock = clock
        self._office = office
        self._compose = compose
        self._subject_key = derive_key(secret, "subject")
        self._csrf_key = derive_key(secret, "csrf")

    async def ask(self, door: Door, address: str, language: Language) -> UUID:
        """Somebody asks for a link to sign in; the number under which it is answered says nothing of how.

        Raises:
            InvalidInput: This is no address.
        """
        mailbox = read_mailbox(address)
        sign_in_id = uuid4()
        async with self._database.transaction() as connection:
            await sign_ins.keep(
                connection, sign_in_id, SignIn(door, mailbox.address, language, asked_at=self._clock.now())
            )
            await outbox.write(connection, ASKED, {"sign_in_id": str(sign_in_id)})
            count_sign_in(door, "asked")
        return sign_in_id

    async def answer(self, sign_in_id: UUID) -> UUID | None:
        """Freezes the mail with the link for somebody who may enter; returns its id, None when there is to be none.

        What was asked is forgotten either way. Answering again finds the same mail. A link goes to the address on
        record, whose spelling may differ from the one that was typed.
        """
        now, about = self._clock.now(), f"sign-in/{sign_in_id}"
        async with self._database.transaction() as connection:
            asked = await sign_ins.take(connection, sign_in_id)
            if asked is None:
                answered = await mails.find_about(connection, SignInKind.SIGN_IN, about)
                return answered.mail_id if answered else None
            subject = subject_of(read_mailbox(asked.email), self._subject_key)
            address = await _address_at(connection, asked.door, subject)
            if address is None or asked.asked_at + LINK_VALIDITY <= now:  # nobody waits for it any more
                return None
            await lock_subject(connection, subject)
            if await sign_ins.count_answers(connection, subject, now - LINKS_COUNT_FOR) >= MOST_LINKS:
                return None
            return await self._post(connection, asked, subject, address, about, now)

    async def may_be_used(self, door: Door, token: str) -> Language | None:
        """The language of the mail that a link was in; None when the link cannot be used. Changes nothing."""
        async with self._database.transaction() as connection:
            found = await tokens.find(connection, hash_token(token), SignInKind.SIGN_IN)
            return found.language if found and self._opens(found, door) else None

    async def sign_in(
        self, door: Door, token: str, language: Language | None = None, former: str | None = None
    ) -> str | None:
        """Uses a link, once: begins a session and returns its key, the only time it can be seen.

        Args:
            language: Of the page with the button; None for the mail's.
            former: The key of a session that the same browser had; it ends.
        """
        now, key = self._clock.now(), new_token()
        async with self._database.transaction() as connection:
            found = await tokens.find(connection, hash_token(token), SignInKind.SIGN_IN)
            if (
                found is None
                or not self._opens(found, door)
                or not await tokens.use(connection, hash_token(token), now)
            ):
                return None
            if await _address_at(connection, door, found.subject) is None:
                return None
            if former:
                await _end(connection, door, former, "signed_in_anew", now)
            expires_at = now + SESSION_VALIDITY[door]
            session = StoredSession(door, found.subject, language or found.language, now, now, expires_at)
            await sessions.keep(connection, hash_token(key), session)
            await ledger.append(connection, now, "signed_in", {"door": door.value}, subject=found.subject)
            count_sign_in(door, "entered")
        return key

    async def find(self, door: Door, key: str) -> Session | None:
        """Who is signed in with that key, None when the session has ended or its owner may not enter any more."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            found = await sessions.find(connection, hash_token(key), door)
            if found is None or found.expires_at <= now or found.last_used_at + SESSION_IDLE[door] <= now:
                return None
            address = await _address_at(connection, door, found.subject)
            if address is None:
                return None
            if found.last_used_at + NOTED_EVERY <= now:
                await sessions.touch(connection, hash_token(key), now)
            return Session(found.door, found.subject, address, found.language)

    def form_token(self, key: str) -> str:
        """What every form of a session holds, so that no other site can send one (CSRF)."""
        return hmac.digest(self._csrf_key, key.encode(), "sha256").hex()

    async def set_language(self, door: Door, key: str, language: Language) -> None:
        """The pages of a session speak another language from now on."""
        async with self._database.transaction() as connection:
            await sessions.set_language(connection, hash_token(key), door, language)

    async def sign_out(self, door: Door, key: str) -> None:
        """Ends a session; doing so again changes nothing."""
        async with self._database.transaction() as connection:
            await _end(connection, door, key, "button", self._clock.now())

    async def sign_out_everywhere(self, session: Session) -> None:
        """Ends every session of a person, at both doors."""
        async with self._database.transaction() as connection:
            if await sessions.end_all(connection, session.subject):
                detail = {"door": session.door.value, "how": "everywhere"}
                await ledger.append(connection, self._clock.now(), "signed_out", detail, subject=session.subject)

    async def _post(
        self, connection: Connection, asked: SignIn, subject: Subject, address: str, about: str, now: datetime
    ) -> UUID:
        token, valid_until = new_token(), now + LINK_VALIDITY
        letter = SignInLetter(
            language=asked.language,
            recipient=Recipient(address, None, None),
            controller=self._office.controller,
            door=asked.door,
            link=f"{self._office.public_url}/{asked.door}/sign-in/{token}",
            written_at=now,
            valid_until=valid_until,
        )
        mail_id = await post(connection, self._compose, letter, subject, about, send_until=valid_until)
        kept = Token(
            purpose=SignInKind.SIGN_IN,
            subject=subject,
            question_id=None,
            language=asked.language,
            expires_at=valid_until,
            mail_id=mail_id,
            about=asked.door,
        )
        await tokens.keep(connection, hash_token(token), kept)
        count_sign_in(asked.door, "mailed")
        return mail_id

    def _opens(self, token: Token, door: Door) -> bool:
        return token.about == door and token.used_at is None and token.expires_at > self._clock.now()


async def _address_at(connection: Connection, door: Door, subject: Subject) -> str | None:
    """Where somebody who may enter is written to; None for everybody else."""
    if door is Door.PARTNER:
        return await people.address_of(connection, subject)
    officer = await officers.find(connection, subject)
    return officer.email if officer else None


async def _end(connection: Connection, door: Door, key: str, how: str, at: datetime) -> None:
    if subject := await sessions.end(connection, hash_token(key), door):
        await ledger.append(connection, at, "signed_out", {"door": door.value, "how": how}, subject=subject)
