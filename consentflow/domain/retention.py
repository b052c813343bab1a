"""How long what is kept, as data: each rule with its reason and its source beside it (GDPR Art. 5(1)(e)).

Lapsed, withdrawn, objecting and erased contacts lose their personal data at once; no rule is about them. What stays
for good is pseudonymous: the ledger, registrations without words, facts.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from dateutil.relativedelta import relativedelta

BATCH: Final = 1000
"""Rows that one transaction of the sweep looks at, at the most."""

LOOK_AGAIN: Final = relativedelta(days=30)
"""When the sweep looks again at a contact that is kept for as long as something else lasts, such as a consent."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that is not kept for ever.

    Args:
        what: What goes.
        since: From when on its time is counted.
        years_end: Whether the time begins at the end of that year, as limitation periods do.
        because: Why it is kept that long and no longer.
        source: Where that follows from.
    """

    name: str
    what: str
    after: relativedelta
    since: str
    because: str
    source: str
    years_end: bool = False

    def cutoff(self, now: datetime) -> datetime:
        """What is counted from before this instant has been kept long enough; UTC."""
        if self.years_end:
            now = now.astimezone(UTC).replace(month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
        return now - self.after

    @property
    def period(self) -> str:
        """How long, in words."""
        parts = [(getattr(self.after, unit), unit) for unit in ("years", "months", "days")]
        words = " ".join(f"{n} {unit if n != 1 else unit[:-1]}" for n, unit in parts if n) or "at once"
        return f"{words} from the end of the year" if self.years_end else words


_LIMITATION = "Art. 5(2) and 17(3)(e) GDPR; regular limitation period, §§ 195, 199 BGB"

RULES: Final = (
    Rule(
        "mails",
        "recipient and text of a mail that has come to its end",
        relativedelta(days=90),
        "the day it was written",
        "Complaints and bounces come within weeks. That it was sent, and the hash of its wording, stay in the ledger.",
        "Art. 5(1)(c) and (e) GDPR",
    ),
    Rule(
        "answers",
        "recipient and text of a letter that answers a data-source request or extends its time",
        relativedelta(years=3),
        "the day it was written",
        "Shows what was answered as long as somebody may claim that it was not.",
        f"Art. 12(4) GDPR; {_LIMITATION}",
        years_end=True,
    ),
    Rule(
        "contacts",
        "name, address and language of a lead or a registering person of whom nothing needs them any more",
        relativedelta(years=1),
        "the last registration",
        "A registration expires after a year, and with it the purpose, unless the lead has agreed or something is still"
        " open. A registering person is the source of data and is kept while that data is.",
        "Art. 5(1)(b) and (e), 14(2)(f), 15(1)(g) GDPR; partner rules: status expired after one year",
    ),
    Rule(
        "registration_texts",
        "company name and location of a registration as they were received",
        relativedelta(years=1),
        "the registration",
        "They may name a person, and an expired registration needs neither; domain and country stay.",
        "Art. 5(1)(c) and (e) GDPR; partner rules: status expired after one year",
    ),
    Rule(
        "unconfirmed_subscribers",
        "address and choice of a subscriber who has never confirmed",
        relativedelta(days=30),
        "the day it was last asked",
        "The link works for 14 days; who has not confirmed by then does not want to be told.",
        "Art. 5(1)(e) and 6(1)(a) GDPR",
    ),
    Rule(
        "request_texts",
        "name and message of a data-source request that is closed",
        relativedelta(years=1),
        "the day it was closed",
        "They served to answer; what was decided stays.",
        "Art. 5(1)(c) and (e) GDPR",
    ),
    Rule(
        "requests",
        "address of a closed data-source request, and the reasons officers wrote down",
        relativedelta(years=3),
        "the day it was closed",
        "Shows whom was answered, and why so, as long as somebody may claim otherwise.",
        f"Art. 12(4) GDPR; {_LIMITATION}",
        years_end=True,
    ),
    Rule(
        "sign_ins",
        "addresses of those who asked to be let in and were never answered",
        relativedelta(days=1),
        "the moment of asking",
        "Nobody waits for a link that works for twenty minutes.",
        "Art. 5(1)(e) GDPR",
    ),
    Rule(
        "sessions",
        "sessions that have ended by themselves",
        relativedelta(),
        "their end",
        "They let nobody in any more.",
        "Art. 5(1)(e) GDPR",
    ),
    Rule(
        "links",
        "links in mails that have expired",
        relativedelta(days=30),
        "their expiry",
        "Until then whoever follows one is told, in the mail's language, that it has expired. One that was used stays"
        " until it expires, so that pressing again is answered kindly.",
        "Art. 5(1)(e) GDPR",
    ),
    Rule(
        "door_links",
        "links that let somebody in or showed who somebody is, once expired",
        relativedelta(days=1),
        "their expiry",
        "They are used at once or never.",
        "Art. 5(1)(e) GDPR",
    ),
    Rule(
        "company_actions",
        "what companies did, by the hour",
        relativedelta(months=12),
        "the hour",
        "What was told to partners is news for days; a year shows how a company's interest went.",
        "Art. 5(1)(e) GDPR, as far as a company is one person",
    ),
    Rule(
        "told",
        "what each subscriber was told",
        relativedelta(months=12),
        "the hour it was about",
        "As long as what it was about.",
        "Art. 5(1)(e) GDPR",
    ),
    Rule(
        "digests",
        "that a subscriber was told something, and when",
        relativedelta(months=12),
        "the day it was told",
        "As long as what it was about.",
        "Art. 5(1)(e) GDPR",
    ),
    Rule(
        "events",
        "source and id of events already seen",
        relativedelta(months=13),
        "the day they came",
        "An event that is sent again within a year counts once.",
        "operations; no personal data",
    ),
)
"""Every rule, in the order in which they are applied."""
