"""Going through the whole ledger entry by entry and saying what is wrong first."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from consentflow.domain.evidence import BEGINNING, ChainedEntry, Checkpoint, Seal, Signer, checkpoint_tree, entry_hash


class Wrong(StrEnum):
    """What can be the matter with the ledger."""

    ALTERED = "altered"
    """What an entry says is not what was hashed when it was appended."""
    PREDECESSOR = "missing predecessor"
    """The entry before, in the same chain, is not the one that this entry followed when it was appended."""
    CHECKPOINT = "checkpoint mismatch"
    """A checkpoint binds other entries, or another checkpoint, than there are."""
    SIGNATURE = "signature"
    """A checkpoint was not signed with the service's key, or says something else than what was signed."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something that is wrong.

    Args:
        entry_id: The first entry that cannot be relied on.
        through: The last entry that may be the bad one: `entry_id` itself where it is known to be it. A checkpoint
            binds one hash for everything it covers, so it tells that one of these was rewritten or removed, not which.
        checkpoint: The day of the checkpoint that covers the entry; None when none does yet.
    """

    wrong: Wrong
    entry_id: int
    through: int
    checkpoint: date | None


@dataclass(frozen=True, slots=True)
class Link:
    """An entry between its neighbours in the chain.

    Args:
        before: The stored hash of the entry before, None for the first.
        next_entry: The number of the entry after, None for the last.
    """

    entry: ChainedEntry
    before: bytes | None
    next_entry: int | None


@dataclass(frozen=True, slots=True)
class Findings:
    """What going through the ledger found.

    Args:
        entries: How many were looked at; all of them unless one was bad.
        uncovered: How many of those no checkpoint covers yet: the end of a chain among them could be cut off unseen.
        flaws: The first bad entry, if one was found, and before or without it the first bad checkpoint. Empty when
            all is well.
        latest: The last checkpoint, None when there is none.
    """

    entries: int
    chains: int
    checkpoints: int
    uncovered: int
    flaws: tuple[Flaw, ...]
    latest: Seal | None


def check_entry(link: Link) -> Wrong | None:
    """What is wrong with an entry by itself and towards the one before, if anything."""
    if entry_hash(link.entry) != link.entry.entry_hash:
        return Wrong.ALTERED
    return None if link.entry.previous_hash == (link.before or BEGINNING) else Wrong.PREDECESSOR


def chain_of(entries: Sequence[ChainedEntry]) -> Iterable[Link]:
    """The entries of one chain, from its first, as links."""
    for before, entry, after in zip([None, *entries], entries, [*entries[1:], None], strict=False):
        yield Link(entry, before.entry_hash if before else None, after.entry_id if after else None)


def covering(checkpoints: Sequence[Checkpoint], entry_id: int) -> date | None:
    """The day of the checkpoint that covers an entry, None when none does yet."""
    at = bisect_left(checkpoints, entry_id, key=lambda checkpoint: checkpoint.seal.up_to_entry)
    return checkpoints[at].seal.day if at < len(checkpoints) else None


class Audit:
    """Takes every entry by number, once, and remembers next to nothing.

    Args:
        checkpoints: All of them, by day.
        signer: Tells its own signatures.
    """

    def __init__(self, checkpoints: Sequence[Checkpoint], signer: Signer) -> None:
        self._checkpoints = len(checkpoints)
        self._latest = checkpoints[-1].seal if checkpoints else None
        self._sound, self._unsound = _sound(checkpoints, signer)
        self._mismatch: Flaw | None = None
        self._bad_entry: Flaw | None = None
        self._closed = 0
        self._entries = self._chains = self._uncovered = 0
        self._open_next(BEGINNING)

    def take(self, link: Link) -> bool:
        """Looks at the next entry; False when it is bad, and nothing more need be looked at."""
        number = link.entry.entry_id
        self._close_before(number)
        if wrong := check_entry(link):
            self._bad_entry = Flaw(wrong, number, number, covering(self._sound, number))
            return False
        self._entries += 1
        self._chains += link.before is None
        if self._closed == len(self._sound):
            self._uncovered += 1
        elif link.next_entry is None or link.next_entry > self._sound[self._closed].seal.up_to_entry:
            self._tree.add(link.entry.entry_hash)
            self._leaves += 1
        return True

    def findings(self) -> Findings:
        """What was found, after the last entry or a bad one."""
        if self._bad_entry is None:
            self._close_before(None)
        bad_checkpoint = self._mismatch or self._unsound  # the latter follows all that are compared
        flaws = tuple(flaw for flaw in (self._bad_entry, bad_checkpoint) if flaw)
        return Findings(self._entries, self._chains, self._checkpoints, self._uncovered, flaws, self._latest)

    def _close_before(self, number: int | None) -> None:
        while self._closed < len(self._sound):
            seal = self._sound[self._closed].seal
            if number is not None and number <= seal.up_to_entry:
                return
            if self._mismatch is None and (self._tree.root(), self._leaves) != (seal.root, seal.leaf_count):
                first = _first_covered(self._sound, self._closed)
                self._mismatch = Flaw(Wrong.CHECKPOINT, first, seal.up_to_entry, seal.day)
            self._closed += 1
            self._open_next(seal.root)

    def _open_next(self, previous_root: bytes) -> None:
        self._tree = checkpoint_tree(previous_root)
        self._leaves = 0


def _sound(checkpoints: Sequence[Checkpoint], signer: Signer) -> tuple[Sequence[Checkpoint], Flaw | None]:
    """The checkpoints up to the first that is bad in itself or does not follow the one before; and what is wrong."""
    root = BEGINNING
    for index, checkpoint in enumerate(checkpoints):
        seal = checkpoint.seal
        wrong = None
        if not signer.made(checkpoint):
            wrong = Wrong.SIGNATURE
        elif seal.previous_root != root:
            wrong = Wrong.CHECKPOINT
        if wrong:
            first = _first_covered(checkpoints, index)
            return checkpoints[:index], Flaw(wrong, first, max(first, seal.up_to_entry), seal.day)
        root = seal.root
    return checkpoints, None


def _first_covered(checkpoints: Sequence[Checkpoint], index: int) -> int:
    return checkpoints[index - 1].seal.up_to_entry + 1 if index else 1
