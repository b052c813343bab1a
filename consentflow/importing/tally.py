"""How far an import came, and why it ended."""

from dataclasses import dataclass
from enum import Enum, auto


class Ending(Enum):
    """Why it ended."""

    DONE = auto()
    STOPPED = auto()
    STORAGE_AWAY = auto()


@dataclass(slots=True)
class Tally:
    """How far it came.

    Args:
        new: Rows taken now.
        before: Rows that had been taken before.
        refused: Rows that were not.
        line: On which the last of them all begins.
    """

    new: int = 0
    before: int = 0
    refused: int = 0
    line: int = 0
    ending: Ending = Ending.DONE

    @property
    def rows(self) -> int:
        """All of them."""
        return self.new + self.before + self.refused

    def in_words(self) -> str:
        """The last line that is said."""
        counts = f"{self.rows:,} rows: {self.new:,} taken now, {self.before:,} taken before, {self.refused:,} refused."
        match self.ending:
            case Ending.DONE:
                return counts
            case Ending.STOPPED:
                why = f"Interrupted after line {self.line}"
            case Ending.STORAGE_AWAY:
                why = f"Postgres stayed away; stopped after line {self.line}"
        return f"{counts} {why}: run it again, and it goes on from there."
