"""Who asks: a requester shows to be the person the address belongs to, by a link sent there, or to an officer.

Either speaks for every open request about that address, since the answer goes there and nowhere else.
"""

from datetime import datetime

from consentflow.domain.acts import Act, Actor
from consentflow.domain.addresses import Subject
from consentflow.domain.errors import RequestNotReady
from consentflow.domain.secrets import hash_token
from consentflow.domain.source_requests import SourceRequest
from consentflow.operations.audit import note_act
from consentflow.operations.consent import Link, LinkState
from consentflow.operations.source_desk import SourceDesk, hold, keep, note
from consentflow.storage import source_requests, tokens
from consentflow.storage.pool import Connection, lock_subject
from consentflow.storage.tokens import Token

IDENTITY = "identity"
"""The purpose of the tokens in such links, and the path of their page."""


class SourceIdentity:
    """The operations on who asks."""

    def __init__(self, desk: SourceDesk) -> None:
        self._desk = desk

    async def look_up(self, token: str) -> Link:
        """What a link leads to; changes nothing."""
        async with self._desk.database.transaction() as connection:
            return await self._link(connection, await tokens.find(connection, hash_token(token), IDENTITY))

    async def confirm(self, token: str) -> Link:
        """The button was pressed. Pressing again changes nothing more."""
        now = self._desk.clock.now()
        async with self._desk.database.transaction() as connection:
            found = await tokens.find(connection, hash_token(token), IDENTITY)
            if found is None:
                return Link(LinkState.UNUSABLE)
            await lock_subject(connection, found.subject)
            link = await self._link(connection, found)
            if link.state is not LinkState.OPEN:
                return link
            await tokens.use(connection, hash_token(token), now)
            for request in await self._confirm_all(connection, found.subject, now):
                await note(connection, now, "source_identity_confirmed", request, how="button")
            return Link(LinkState.DONE, found.language)

    async def attest(self, request_id: str, reason: str, actor: Actor) -> None:
        """An officer has seen by other means that the person the address belongs to asks; with the reason.

        Raises:
            NotFound: No such request.
            RequestNotReady: It is closed, or confirmed already.
        """
        now = self._desk.clock.now()
        async with self._desk.database.transaction() as connection:
            request = await hold(connection, request_id)
            if not request.is_open:
                raise RequestNotReady("request_closed", "The request has been closed.")
            if request.identity_confirmed_at is not None:
                raise RequestNotReady("already_confirmed", "The identity has been confirmed.")
            for each in await self._confirm_all(connection, request.subject, now, reason):
                await note_act(
                    connection,
                    now,
                    actor,
                    Act.DECIDED,
                    subject=each.subject,
                    event="source_identity_confirmed",
                    request_id=each.request_id,
                    how="officer",
                )

    async def _confirm_all(
        self, connection: Connection, subject: Subject, now: datetime, reason: str | None = None
    ) -> list[SourceRequest]:
        confirmed = [
            self._desk.rules.confirmed(request, now, reason)
            for request in await source_requests.find_open(connection, subject)
            if request.identity_confirmed_at is None
        ]
        for request in confirmed:
            await keep(connection, request)
        return confirmed

    async def _link(self, connection: Connection, found: Token | None) -> Link:
        request = await source_requests.find(connection, found.about) if found and found.about else None
        if found is None or request is None:
            return Link(LinkState.UNUSABLE)
        if request.identity_confirmed_at is not None:
            return Link(LinkState.DONE, found.language)
        is_alive = request.is_open and found.expires_at > self._desk.clock.now()
        return Link(LinkState.OPEN if is_alive else LinkState.UNUSABLE, found.language)
