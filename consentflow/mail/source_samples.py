"""Letters about a data-source request, filled with what is made up, in every shape they can have."""

from datetime import date, datetime

from consentflow.domain.letters import Controller, Language, Letter, Recipient
from consentflow.domain.registrations import Kind
from consentflow.domain.source_letters import (
    Head,
    OfficerReminderLetter,
    Source,
    SourceDecisionLetter,
    SourceExtensionLetter,
    SourceIdentityLetter,
    SourceReceiptLetter,
)
from consentflow.domain.source_requests import Extent, SourceState

_READER = Recipient("lea.muster@firma.example", None, None)
_OFFICER = Recipient("officer@musterwerk.example", None, None)
_NUMBER = "sr-4f0c9a1b77e2"
_REASON = "Whoever registered you there objects to being named.\nWe have weighed your interest against that, and …"
_SOURCES = (
    Source("Beispiel Vertrieb & Söhne GmbH", "ana@beispiel-vertrieb.example", date(2026, 10, 5), Kind.LEAD),
    Source("p-77", None, date(2026, 11, 1), Kind.DEAL),
)
_ANSWER_BY = date(2026, 12, 28)


def source_letters(
    language: Language, controller: Controller, written_at: datetime, public_url: str, token: str
) -> dict[str, Letter]:
    """Every letter about a request by the name of its files."""
    head = Head(
        language=language,
        recipient=_READER,
        controller=controller,
        request_id=_NUMBER,
        received_on=date(2026, 11, 25),
        written_at=written_at,
    )
    to_officer = Head(**{**head, "recipient": _OFFICER})
    page = f"{public_url}/console/requests/{_NUMBER}"

    def reminder(days_left: int, *, confirmed: bool) -> Letter:
        return OfficerReminderLetter(
            **to_officer, answer_by=_ANSWER_BY, days_left=days_left, confirmed=confirmed, page=page
        )

    return {
        "source-receipt": SourceReceiptLetter(**head, answer_by=_ANSWER_BY, swiss=False, asks_identity=True),
        "source-receipt-swiss": SourceReceiptLetter(**head, answer_by=_ANSWER_BY, swiss=True, asks_identity=False),
        "source-identity": SourceIdentityLetter(
            **head, confirm=f"{public_url}/identity/{token}", confirm_by=date(2026, 12, 27)
        ),
        "source-extension": SourceExtensionLetter(
            **head, first_day=_ANSWER_BY, answer_by=date(2027, 2, 25), swiss=False, reason=_REASON
        ),
        "source-extension-swiss": SourceExtensionLetter(
            **head, first_day=_ANSWER_BY, answer_by=date(2027, 2, 23), swiss=True, reason=_REASON
        ),
        **_decisions(head),
        "officer-reminder": reminder(7, confirmed=True),
        "officer-reminder-overdue": reminder(-3, confirmed=False),
    }


def _decisions(head: Head) -> dict[str, Letter]:
    repeated = (date(2026, 12, 1), date(2026, 12, 3))

    def decision(
        outcome: SourceState, extent: Extent | None = None, *, reasoned: bool = False, swiss: bool = False
    ) -> Letter:
        named = () if extent is Extent.CATEGORY or extent is None else _SOURCES
        return SourceDecisionLetter(
            **head,
            also_received_on=repeated if extent is Extent.PERSON else (),
            outcome=outcome,
            extent=extent,
            sources=named,
            reason=_REASON if reasoned else None,
            swiss=swiss,
        )

    return {
        "source-disclosed": decision(SourceState.DISCLOSED, Extent.PERSON),
        "source-partly": decision(SourceState.PARTLY_DISCLOSED, Extent.PARTNER, reasoned=True),
        "source-partly-category": decision(SourceState.PARTLY_DISCLOSED, Extent.CATEGORY, reasoned=True),
        "source-refused": decision(SourceState.REFUSED, reasoned=True, swiss=True),
        "source-not-found": decision(SourceState.NOT_FOUND),
        "source-abandoned": decision(SourceState.ABANDONED),
    }
