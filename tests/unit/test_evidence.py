"""Hashes, trees and signatures, by themselves; and an audit that names whatever was done to a ledger."""

import hashlib
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import given

from consentflow.domain.audit import Audit, Findings, Link, Wrong
from consentflow.domain.evidence import (
    BEGINNING,
    ChainedEntry,
    Checkpoint,
    MerkleTree,
    Seal,
    Signer,
    checkpoint_tree,
    entry_hash,
    signature_holds,
)

AT = datetime(2026, 11, 22, 9, tzinfo=UTC)
SIGNER = Signer(b"k" * 32)
LEAVES = st.lists(st.binary(max_size=40), max_size=40)
SEALS = st.builds(
    Seal,
    day=st.dates(),
    up_to_entry=st.integers(0, 2**62),
    previous_root=st.binary(min_size=32, max_size=32),
    root=st.binary(min_size=32, max_size=32),
    leaf_count=st.integers(0, 2**62),
    signed_at=st.datetimes(timezones=st.just(UTC)),
)
ENTRIES = st.builds(
    ChainedEntry,
    entry_id=st.integers(1, 3),
    at=st.sampled_from([AT, AT + timedelta(microseconds=1)]),
    subject=st.sampled_from([None, "", "a", "a\x00", "ab"]),
    registration_id=st.sampled_from([None, "", "a", "b", "\x01"]),
    event=st.sampled_from(["", "a", "b", "ba"]),
    detail=st.sampled_from(["", "{}", "a{}"]),
    previous_hash=st.sampled_from([BEGINNING, b"\x01" * 32]),
    entry_hash=st.just(b""),
)


def tree_of(leaves: list[bytes]) -> MerkleTree:
    tree = MerkleTree()
    for leaf in leaves:
        tree.add(leaf)
    return tree


def rfc_6962_root(leaves: list[bytes]) -> bytes:
    """The definition in section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + rfc_6962_root(leaves[:split]) + rfc_6962_root(leaves[split:])).digest()


@given(LEAVES)
def test_the_root_is_that_of_rfc_6962(leaves: list[bytes]) -> None:
    assert tree_of(leaves).root() == rfc_6962_root(leaves)


def test_the_root_is_that_of_the_published_test_vectors_of_certificate_transparency() -> None:
    inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    leaves = [bytes.fromhex(text) for text in inputs]
    assert tree_of([]).root().hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert tree_of(leaves[:1]).root().hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert tree_of(leaves).root().hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


@given(LEAVES, LEAVES)
def test_other_leaves_make_another_root(some: list[bytes], others: list[bytes]) -> None:
    assert (tree_of(some).root() == tree_of(others).root()) == (some == others)


@given(LEAVES)
def test_looking_at_a_root_on_the_way_changes_nothing(leaves: list[bytes]) -> None:
    tree = MerkleTree()
    for leaf in leaves:
        tree.add(leaf)
        tree.root()
    assert tree.root() == rfc_6962_root(leaves)


@given(ENTRIES, ENTRIES)
def test_no_two_entries_share_a_hash_however_their_texts_are_cut(one: ChainedEntry, other: ChainedEntry) -> None:
    assert (entry_hash(one) == entry_hash(other)) == (one == other)


def test_the_encoding_never_changes() -> None:
    entry = ChainedEntry(7, AT, "s-1", None, "happened", '{"note": "Prüfung"}', BEGINNING, b"")
    assert entry_hash(entry).hex() == ENCODED


ENCODED = hashlib.sha256(
    b"consentflow ledger 1"
    + bytes(32)
    + (7).to_bytes(8, "big")
    + (1795338000_000000).to_bytes(8, "big")
    + b"\x01\x00\x00\x00\x03s-1"
    + b"\x00"
    + b"\x01\x00\x00\x00\x08happened"
    + b"\x01\x00\x00\x00\x14"
    + '{"note": "Prüfung"}'.encode()
).hexdigest()


@given(SEALS)
def test_a_signature_holds_for_what_was_signed(seal: Seal) -> None:
    checkpoint = SIGNER.sign(seal)
    assert SIGNER.made(checkpoint)
    assert signature_holds(checkpoint)


@given(SEALS, SEALS)
def test_a_signature_holds_for_nothing_else(seal: Seal, other: Seal) -> None:
    assert signature_holds(replace(SIGNER.sign(seal), seal=other)) == (seal == other)


@given(SEALS)
def test_somebody_elses_signature_is_sound_but_not_ours(seal: Seal) -> None:
    forged = Signer(b"f" * 32).sign(seal)
    assert signature_holds(forged)
    assert not SIGNER.made(forged)


@pytest.mark.parametrize("key", [b"", b"short", bytes(33)])
def test_what_is_no_key_holds_no_signature(key: bytes) -> None:
    checkpoint = SIGNER.sign(Seal(date(2026, 11, 22), 0, BEGINNING, BEGINNING, 0, AT))
    assert not signature_holds(replace(checkpoint, public_key=key))


# Whole ledgers, in memory.


def ledger_of(chains: list[int]) -> list[ChainedEntry]:
    heads: dict[int, bytes] = {}
    entries = []
    for number, chain in enumerate(chains, 1):
        blank = ChainedEntry(
            number, AT, f"s-{chain}" if chain else None, None, "x", "{}", heads.get(chain, BEGINNING), b""
        )
        entries.append(replace(blank, entry_hash=entry_hash(blank)))
        heads[chain] = entries[-1].entry_hash
    return entries


def seal_all(entries: list[ChainedEntry], cuts: list[int]) -> list[Checkpoint]:
    checkpoints: list[Checkpoint] = []
    made, root = 0, BEGINNING
    for day, cut in enumerate(cuts, 1):
        heads = {entry.subject: entry.entry_hash for entry in entries if made < entry.entry_id <= cut}
        numbers = {entry.entry_hash: entry.entry_id for entry in entries}
        tree = checkpoint_tree(root)
        for head in sorted(heads.values(), key=numbers.__getitem__):
            tree.add(head)
        checkpoints.append(SIGNER.sign(Seal(date(2026, 1, day), cut, root, tree.root(), len(heads), AT)))
        made, root = cut, tree.root()
    return checkpoints


def audit(entries: list[ChainedEntry], checkpoints: list[Checkpoint]) -> Findings:
    running = Audit(checkpoints, SIGNER)
    for index, entry in enumerate(entries):
        before = [other for other in entries[:index] if other.subject == entry.subject]
        after = [other for other in entries[index + 1 :] if other.subject == entry.subject]
        link = Link(entry, before[-1].entry_hash if before else None, after[0].entry_id if after else None)
        if not running.take(link):
            break
    return running.findings()


LEDGERS = st.lists(st.integers(0, 3), min_size=1, max_size=12).flatmap(
    lambda chains: st.tuples(st.just(ledger_of(chains)), st.lists(st.integers(0, len(chains)), max_size=4).map(sorted))
)
Case = tuple[list[ChainedEntry], list[int]]


@given(LEDGERS)
def test_an_audit_of_an_untouched_ledger_finds_nothing(case: Case) -> None:
    entries, cuts = case
    findings = audit(entries, seal_all(entries, cuts))
    assert findings.flaws == ()
    assert (findings.entries, findings.uncovered) == (len(entries), len(entries) - (cuts[-1] if cuts else 0))


@given(LEDGERS, st.data())
def test_an_audit_names_the_first_of_any_altered_entries(case: Case, data: st.DataObject) -> None:
    entries, cuts = case
    checkpoints = seal_all(entries, cuts)
    altered = data.draw(st.sets(st.integers(0, len(entries) - 1), min_size=1))
    touched = [replace(entry, event="y") if index in altered else entry for index, entry in enumerate(entries)]
    (flaw, *_) = audit(touched, checkpoints).flaws
    assert (flaw.wrong, flaw.entry_id) == (Wrong.ALTERED, min(altered) + 1)
    covering = [checkpoint.seal.day for checkpoint in checkpoints if checkpoint.seal.up_to_entry >= flaw.entry_id]
    assert flaw.checkpoint == (covering[0] if covering else None)


@given(LEDGERS, st.data())
def test_an_audit_notices_any_covered_entry_that_is_gone_or_rewritten_with_its_chain(
    case: Case, data: st.DataObject
) -> None:
    entries, cuts = case
    covered = cuts[-1] if cuts else 0
    if covered == 0:
        return
    checkpoints = seal_all(entries, cuts)
    victim = data.draw(st.integers(0, covered - 1))
    gone = entries[:victim] + entries[victim + 1 :]
    assert audit(gone, checkpoints).flaws
    heads: dict[str | None, bytes] = {}
    rewritten = []
    for index, entry in enumerate(entries):
        again = replace(entry, event="y" if index == victim else "x", previous_hash=heads.get(entry.subject, BEGINNING))
        again = replace(again, entry_hash=entry_hash(again))
        heads[entry.subject] = again.entry_hash
        rewritten.append(again)
    (flaw,) = audit(rewritten, checkpoints).flaws
    assert flaw.wrong is Wrong.CHECKPOINT
    assert flaw.entry_id <= victim + 1 <= flaw.through
