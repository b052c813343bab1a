"""Counters of what happened: what this process did, counted once its transaction has been committed.

They cost nothing when they are read, however many registrations there are; whoever reads them adds up the processes
and asks for the growth over a time. What is open at present is counted in Postgres (`operations.agenda`). Labels name
regimes, states, purposes and outcomes: nothing of a person, a company or a partner.
"""

from itertools import product

from prometheus_client import Counter

from consentflow.domain.letters import LetterKind
from consentflow.domain.partner_letters import PartnerLetterKind
from consentflow.domain.policy import Regime
from consentflow.domain.registrations import Registration, State
from consentflow.domain.sign_in import Door, SignInKind
from consentflow.domain.source_letters import SourceLetterKind
from consentflow.storage.pool import after_commit

_REGISTRATIONS = Counter(
    "consentflow_registrations_total", "Registrations that came to a state, by regime.", ["regime", "state"]
)
_MAILS = Counter("consentflow_mails_total", "Mails that came to their end, by purpose.", ["purpose", "outcome"])
_POSTPONED = Counter("consentflow_mails_postponed_total", "Attempts at a mail that the mail server put off.")
_UNSURE = Counter("consentflow_mails_unsure_total", "Attempts at a mail of which nobody knows whether it left.")
_SIGN_INS = Counter("consentflow_sign_ins_total", "Links asked for, links mailed, people let in.", ["door", "step"])

_PURPOSES = (*LetterKind, *PartnerLetterKind, *SourceLetterKind, *SignInKind)

# A counter that is not there before its first event hides that event.
_REGISTRATIONS_BY: dict[tuple[str, str], Counter] = {
    each: _REGISTRATIONS.labels(*each) for each in product(Regime, State)
}
for _purpose, _outcome in product(_PURPOSES, ("accepted", "refused", "unsure", "dropped")):
    _MAILS.labels(_purpose, _outcome)
for _door, _step in product(Door, ("asked", "mailed", "entered")):
    _SIGN_INS.labels(_door, _step)


def count_registration(registration: Registration) -> None:
    """A registration has come to the state that it is in."""
    after_commit(_REGISTRATIONS_BY[registration.regime, registration.state].inc)


def count_mail(purpose: str, outcome: str) -> None:
    """A mail has come to its end."""
    after_commit(_MAILS.labels(purpose, outcome).inc)
    if outcome == "unsure":
        count_unsure()


def count_postponed() -> None:
    """A mail did not leave; it will be tried again."""
    after_commit(_POSTPONED.inc)


def count_unsure() -> None:
    """A mail may or may not have left."""
    after_commit(_UNSURE.inc)


def count_sign_in(door: Door, step: str) -> None:
    """Somebody ``asked`` for a link, was ``mailed`` it, or ``entered`` with it."""
    after_commit(_SIGN_INS.labels(door, step).inc)
