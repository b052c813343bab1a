"""Leads as they may come in one random round, and what must have become of each."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

from tests.faults.world import Json, lead_of

DOUBLE_OPT_IN = ("DE", "AT", "Schweiz")
DELAYED_NOTICE = ("FR", "Italia", "PT", "RE", None, "EU")
NO_CONTACT = ("US", "BR", "GB")

CONSENT = "contact.opted_in"
FORM = "contact.form_submitted"
OBJECTION = "contact.objected"


@dataclass(frozen=True)
class Lead:
    """A lead, and what happens to it.

    Args:
        email: Two leads may have the same: one mailbox, registered twice.
        overdue: Registered so long ago that a notice is due at once.
        before: An event that is accepted before the registration.
        after: An event that follows the registration.
        presses: Confirms as soon as its mail has arrived.
    """

    registration_id: str
    email: str
    country: str | None
    overdue: bool = False
    before: str | None = None
    after: str | None = None
    presses: bool = False

    def body(self, now: datetime) -> Json:
        """The registration."""
        registered_at = (now - timedelta(days=400 if self.overdue else 1)).isoformat()
        lead = lead_of(self.registration_id) | {"country": self.country, "registered_at": registered_at}
        lead["contact"] = {"email": self.email}
        return lead

    @property
    def states(self) -> frozenset[str]:
        """The states that are right in the end. More than one where a mail and an event raced each other."""
        events = {self.before, self.after}
        if self.country in NO_CONTACT:
            return frozenset({"no_contact", "suppressed"} if OBJECTION in events else {"no_contact"})
        if self.country in DOUBLE_OPT_IN:
            if OBJECTION in events:
                return frozenset({"suppressed"})
            return frozenset({"confirmed" if CONSENT in events or self.presses else "awaiting_confirmation"})
        if self.before or (self.after and not self.overdue):
            return frozenset({"suppressed" if OBJECTION in events else "satisfied"})
        if self.after:
            return frozenset({"notified", "suppressed" if OBJECTION in events else "satisfied"})
        return frozenset({"notified" if self.overdue else "waiting"})

    def mails(self, state: str) -> frozenset[int]:
        """How many different mails are right in that state. A repeat is the same mail."""
        if state == "notified" or self.presses or state == "awaiting_confirmation":
            return frozenset({1})
        informed = self.before in {CONSENT, OBJECTION} or (self.before and self.country not in DOUBLE_OPT_IN)
        if state in {"no_contact", "waiting"} or informed:
            return frozenset({0})
        return frozenset({0, 1}) if self.country in DOUBLE_OPT_IN or self.overdue else frozenset({0})


def leads(chance: random.Random, how_many: int) -> list[Lead]:
    """That many leads of every regime, in random order."""
    found = list(islice(_each(chance), how_many))
    chance.shuffle(found)
    return found


def bodies(found: list[Lead]) -> dict[str, Json]:
    """The registrations by id: the same content for every repeat."""
    now = datetime.now(UTC)
    return {lead.registration_id: lead.body(now) for lead in found}


def _each(chance: random.Random) -> Iterator[Lead]:
    run = f"{chance.getrandbits(32):08x}"
    number = 0
    while True:
        number += 1
        registration_id = f"f{run}-{number}"
        email = str(lead_of(registration_id)["contact"]["email"])
        country = chance.choice(chance.choices((DOUBLE_OPT_IN, DELAYED_NOTICE, NO_CONTACT), (5, 5, 1))[0])
        overdue = country not in DOUBLE_OPT_IN and chance.random() < 0.7
        event = chance.choice((CONSENT, FORM, OBJECTION))
        match chance.choices(("nothing", "before", "after", "presses", "twice"), (5, 1, 2, 2, 1))[0]:
            case "before":
                yield Lead(registration_id, email, country, overdue, before=event)
            case "after":
                yield Lead(registration_id, email, country, overdue, after=event)
            case "presses" if country in DOUBLE_OPT_IN:
                yield Lead(registration_id, email, country, presses=True)
            case "twice" if country in DOUBLE_OPT_IN:
                yield Lead(registration_id, email, country)
                yield Lead(f"{registration_id}-again", email, country)
            case _:
                yield Lead(registration_id, email, country, overdue)
