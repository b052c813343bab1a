"""A registration explained on the terminal."""

from datetime import datetime

from rich.console import Console
from rich.table import Table

from consentflow.operations.registrations import Standing


def explain(standing: Standing, out: Console) -> None:
    """Prints the decision and the timeline."""
    registration = standing.registration
    facts = Table(show_header=False, box=None, pad_edge=False)
    facts.add_column(style="dim")
    facts.add_column(overflow="fold")
    for name, value in (
        ("registration", registration.registration_id),
        ("state", registration.state.value),
        ("regime", registration.regime),
        ("reason", registration.reason),
        ("country", f"{registration.country or 'unknown'} (received: {registration.country_received!r})"),
        ("company", registration.company_domain or f"none ({registration.company_refusal})"),
        ("registered at", instant(registration.registered_at)),
        ("due at", instant(registration.due_at)),
        ("policy", registration.policy_version),
        ("status", registration.status_at(standing.as_of).value),
        ("owned until", instant(standing.owned_until)),
    ):
        facts.add_row(name, value)
    out.print(facts)
    timeline = Table("at (UTC)", "event", "detail", title="Timeline", title_justify="left", box=None, pad_edge=False)
    for entry in standing.timeline:
        detail = ", ".join(f"{key} {value}" for key, value in entry.detail.items())
        timeline.add_row(instant(entry.at), entry.event, detail)
    out.print(timeline)


def instant(at: datetime | None) -> str:
    """An instant to the second, in UTC."""
    return f"{at:%Y-%m-%d %H:%M:%S}" if at else "–"
