"""Tables and numbers as the pages of the documentation have them."""

from collections.abc import Sequence
from datetime import timedelta

DAY = timedelta(days=1)


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table; numbers to the right, but where there are three columns, which hold words."""
    rows = [head, ["---"] + ["---:" if len(head) != 3 else "---"] * (len(head) - 1), *lines]  # noqa: PLR2004 - prose
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def count(number: float) -> str:
    """Three digits, and words for what is large."""
    for limit, word in ((1e9, "billion"), (1e6, "million")):
        if number >= limit:
            return f"{number / limit:,.3g} {word}" if number < 1000 * limit else f"{number / limit:,.0f} {word}"
    if number >= 1000:  # noqa: PLR2004 - then three digits are enough
        return f"{round(number, 3 - len(str(int(number)))):,.0f}"
    return f"{number:.3g}" if number < 100 else f"{number:.0f}"  # noqa: PLR2004


def size(number: float) -> str:
    """Bytes, three digits."""
    for limit, word in ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= limit:
            return f"{number / limit:.3g} {word}" if number < 1000 * limit else f"{number / limit:,.0f} {word}"
    return f"{number:.0f} B"


def period(time: timedelta) -> str:
    """In days."""
    return f"{time / DAY:.0f} days"
