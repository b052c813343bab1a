"""Everything held about one person, as a page for paper: for the person, by way of a privacy officer."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from consentflow.domain.access import LABELS
from consentflow.operations.access import AccessExport
from consentflow.templates.environment import environment

_AS_TABLE = frozenset({"fact", "ledger", "link", "session", "registration_made", "company_followed"})
"""Kinds of which there may be many with few fields."""


def render_access(export: AccessExport) -> str:
    """The page as HTML: complete in itself, English, no script."""
    jinja = environment("en").overlay()
    jinja.filters |= {"told": told, "label": LABELS.__getitem__}
    return jinja.get_template("pages/access.html").render(export=export, as_table=_AS_TABLE)


def told(value: object) -> str:
    """A value in words."""
    match value:
        case None | [] | {}:
            return "–"
        case datetime():
            return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        case Mapping():
            return ", ".join(f"{name} {told(each)}" for name, each in value.items())
        case str():
            return value
        case Sequence():
            return ", ".join(map(told, value))
        case _:
            return str(value)
