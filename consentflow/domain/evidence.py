"""What makes tampering with the ledger visible: hash chains, a Merkle root a day, a signature over it.

Entries of a subject form a chain: each holds the hash of the one before. Entries without a subject form one chain of
their own. Postgres computes the hashes when an entry is appended; here the same encoding is written a second time, so
that checking does not rest on what it checks. A checkpoint binds the heads of all chains that grew since the checkpoint
before, and that one's root; it is signed with a key that the database does not hold.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

BEGINNING = bytes(32)
"""What the first entry of a chain, and the first checkpoint, follows."""

_ENTRY = b"consentflow ledger 1"
_CHECKPOINT = b"consentflow checkpoint 1"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LEAF = b"\x00"
_NODE = b"\x01"


@dataclass(frozen=True, slots=True)
class ChainedEntry:
    """An entry as the ledger holds it.

    Args:
        detail: The text that Postgres gives of its JSON: what is hashed, byte for byte.
    """

    entry_id: int
    at: datetime
    subject: str | None
    registration_id: str | None
    event: str
    detail: str
    previous_hash: bytes
    entry_hash: bytes


def entry_hash(entry: ChainedEntry) -> bytes:
    """SHA-256 over everything an entry says and the hash of the one before.

    Numbers are eight bytes, big-endian; instants are microseconds since 1970. A text is a byte for absent or present,
    its length in four bytes, and its UTF-8, so that no two entries share an encoding. Migration 0002 has the same.
    """
    digest = hashlib.sha256(_ENTRY)
    digest.update(entry.previous_hash)
    digest.update(_number(entry.entry_id))
    digest.update(_instant(entry.at))
    for text in (entry.subject, entry.registration_id, entry.event, entry.detail):
        digest.update(_field(text))
    return digest.digest()


class MerkleTree:
    """The root over leaves as they come, in memory that grows with their logarithm (RFC 6962 section 2.1).

    Leaves and nodes are hashed with different prefixes, so that none can be passed off as the other.
    """

    def __init__(self) -> None:
        self._subtrees: list[tuple[int, bytes]] = []  # complete ones with their heights, largest first

    def add(self, leaf: bytes) -> None:
        """Appends a leaf."""
        height, top = 0, hashlib.sha256(_LEAF + leaf).digest()
        while self._subtrees and self._subtrees[-1][0] == height:
            top = _node(self._subtrees.pop()[1], top)
            height += 1
        self._subtrees.append((height, top))

    def root(self) -> bytes:
        """The root over all leaves so far; of none, the hash of nothing."""
        if not self._subtrees:
            return hashlib.sha256().digest()
        *left, (_, root) = self._subtrees
        for _, subtree in reversed(left):
            root = _node(subtree, root)
        return root


def checkpoint_tree(previous_root: bytes) -> MerkleTree:
    """The tree of a checkpoint, to which the heads are still to be added: its first leaf is the root before."""
    tree = MerkleTree()
    tree.add(previous_root)
    return tree


@dataclass(frozen=True, slots=True)
class Seal:
    """What a checkpoint says, and signs.

    Args:
        day: The UTC day it was made on; there is one a day at most.
        up_to_entry: The last entry it covers; the first is the one after the checkpoint before.
        previous_root: The root of the checkpoint before.
        root: Merkle root over `previous_root` and, by entry number, the last hash of every chain that grew.
        leaf_count: How many chains grew.
        signed_at: UTC.
    """

    day: date
    up_to_entry: int
    previous_root: bytes
    root: bytes
    leaf_count: int
    signed_at: datetime

    def message(self) -> bytes:
        """The bytes that are signed."""
        day = _number(self.day.toordinal())
        counts = _number(self.up_to_entry) + _number(self.leaf_count)
        return _CHECKPOINT + day + counts + _instant(self.signed_at) + self.previous_root + self.root


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A signed seal. ``public_key`` is the raw Ed25519 key; an auditor gets it from the service, not from here."""

    seal: Seal
    signature: bytes
    public_key: bytes


class Signer:
    """Signs checkpoints and tells its own signatures (Ed25519, RFC 8032).

    Args:
        key: 32 secret bytes, derived from the service's secret for this purpose alone.
    """

    def __init__(self, key: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(key)
        self.public_key = self._private.public_key().public_bytes_raw()

    def sign(self, seal: Seal) -> Checkpoint:
        """The checkpoint of a seal."""
        return Checkpoint(seal, self._private.sign(seal.message()), self.public_key)

    def made(self, checkpoint: Checkpoint) -> bool:
        """Whether this key signed exactly what the checkpoint says."""
        return checkpoint.public_key == self.public_key and signature_holds(checkpoint)


def signature_holds(checkpoint: Checkpoint) -> bool:
    """Whether the checkpoint's signature fits its public key: what somebody without the secret can check."""
    try:
        Ed25519PublicKey.from_public_bytes(checkpoint.public_key).verify(
            checkpoint.signature, checkpoint.seal.message()
        )
    except (InvalidSignature, ValueError):
        return False
    return True


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(_NODE + left + right).digest()


def _number(number: int) -> bytes:
    return number.to_bytes(8, "big", signed=True)


def _instant(at: datetime) -> bytes:
    return _number((at - _EPOCH) // _MICROSECOND)


def _field(text: str | None) -> bytes:
    if text is None:
        return b"\x00"
    raw = text.encode()
    return b"\x01" + len(raw).to_bytes(4, "big") + raw
