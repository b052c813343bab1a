"""What became of each round, kept in a file so that many rounds in a row can be shown."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = Path(__file__).parents[2] / "faults.json"


@dataclass(frozen=True)
class Record:
    """A round.

    Args:
        seed: Repeats its choices, though not its timing.
        kills: How often each process was killed.
        retries: How many requests had to be repeated.
        mails: How many arrived, repeats included.
        repeats: How many of them had arrived before; each is counted in the database too.
        verdict: ``held``, or which claim did not.
    """

    at: str
    seed: int
    leads: int
    by_batch: int
    kills: dict[str, int]
    retries: int
    mails: int
    repeats: int
    seconds: float
    verdict: str


def write(record: Record) -> None:
    """Adds a round to the file."""
    rounds = json.loads(FILE.read_text())["rounds"] if FILE.exists() else []
    rounds.append(asdict(record))
    held = sum(each["verdict"] == "held" for each in rounds)
    fresh = FILE.with_suffix(".new")
    fresh.write_text(json.dumps({"rounds": rounds, "held": held, "broken": len(rounds) - held}, indent=1) + "\n")
    fresh.replace(FILE)


def table() -> Sequence[str]:
    """All rounds of the file, one a line."""
    told = json.loads(FILE.read_text())
    lines = [
        f"{'seed':>8} {'leads':>6} {'kills':>6} {'retries':>8} {'mails':>6} {'repeats':>8} {'seconds':>8}  verdict"
    ]
    lines += [
        f"{each['seed']:>8} {each['leads']:>6} {sum(each['kills'].values()):>6} {each['retries']:>8}"
        f" {each['mails']:>6} {each['repeats']:>8} {each['seconds']:>8.1f}  {each['verdict']}"
        for each in told["rounds"]
    ]
    return [*lines, f"{told['held']} held, {told['broken']} broken"]


if __name__ == "__main__":
    print("\n".join(table()))  # noqa: T201 - what it is for
