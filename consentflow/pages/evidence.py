"""What the ledger says of one person, as a page for paper: for a privacy officer, or for a court."""

import json
from datetime import UTC, datetime

from consentflow.operations.ledger import Export
from consentflow.templates.environment import environment

_STATUS = {
    "dpv:ConsentRequested": "Asked by mail",
    "dpv:ConsentGiven": "Consent given",
    "dpv:ConsentRequestDeferred": "No answer in time",
    "dpv:ConsentRefused": "Refused: no contact wanted",
    "dpv:ConsentWithdrawn": "Consent withdrawn",
}


def render_evidence(export: Export) -> str:
    """The page as HTML: complete in itself, English, no script."""
    jinja = environment("en").overlay()
    jinja.filters |= {"instant": _instant, "detail": _detail, "status": _STATUS.__getitem__}
    return jinja.get_template("pages/evidence.html").render(export=export)


def _instant(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _detail(text: str) -> str:
    return ", ".join(f"{name} {value}" for name, value in json.loads(text).items())
