"""A registration, and the state of the ledger, explained on the terminal."""

from datetime import datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from consentflow.domain.audit import Findings, Flaw, Wrong
from consentflow.operations.registrations import Standing

_SAID_ABOVE = {"state", "regime", "policy_version"}


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
    out.print("\nTimeline (UTC)")
    for entry in standing.timeline:
        out.print(f"{instant(entry.at)}  {entry.event:<18} {entry.detail.get('state', '')}")
        for key, said in sorted(entry.detail.items()):
            if key not in _SAID_ABOVE:
                out.print(f"{'':19}  {'':18} [dim]{key} {escape(str(said))}[/dim]", soft_wrap=True)


_WRONG = {
    Wrong.ALTERED: "{where} was altered: what it says is not what was hashed when it was appended.",
    Wrong.PREDECESSOR: "{where} misses its predecessor: the one before it in the chain was removed, put in or changed.",
    Wrong.CHECKPOINT: "{where}: the checkpoint of {day} does not match. Something it covers was removed or rewritten.",
    Wrong.SIGNATURE: "{where}: the checkpoint of {day} was not signed by this service, or was changed since.",
}


def findings_in_words(findings: Findings) -> str:
    """What going through the ledger found, for somebody who is no engineer; the first bad entry comes first."""
    if findings.flaws:
        return "\n".join(["The ledger was tampered with.", *map(_flaw_in_words, findings.flaws)])
    lines = [f"The ledger is intact: {findings.entries} entries in {findings.chains} chains."]
    if findings.latest:
        lines.append(
            f"{findings.checkpoints} checkpoints, the last of {findings.latest.day}, covers up to entry"
            f" {findings.latest.up_to_entry}, root {findings.latest.root.hex()}."
        )
    if findings.uncovered:
        lines.append(f"{findings.uncovered} entries wait for the next checkpoint: they could be cut off unseen.")
    return "\n".join(lines)


def _flaw_in_words(flaw: Flaw) -> str:
    here = flaw.entry_id >= flaw.through
    where = f"Entry {flaw.entry_id}" if here else f"Entries {flaw.entry_id} to {flaw.through}"
    text = _WRONG[flaw.wrong].format(where=where, day=flaw.checkpoint)
    if flaw.wrong in (Wrong.CHECKPOINT, Wrong.SIGNATURE):
        return text
    covering = f"The checkpoint of {flaw.checkpoint}" if flaw.checkpoint else "No checkpoint"
    return f"{text} {covering} covers it."


def instant(at: datetime | None) -> str:
    """An instant to the second, in UTC."""
    return f"{at:%Y-%m-%d %H:%M:%S}" if at else "–"
