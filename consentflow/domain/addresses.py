"""Reading e-mail addresses: how a mail is addressed, and which spellings mean the same mailbox."""

import hmac
import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Final, NewType

import idna
from confusable_homoglyphs import categories, confusables
from email_validator import EmailNotValidError, validate_email

from consentflow.domain.errors import InvalidInput
from consentflow.domain.names import ENCODED_WORD
from consentflow.domain.plain import is_plain_address

MAX_LENGTH: Final = 254
"""Octets of a whole address (RFC 5321 section 4.5.3.1.3, less the angle brackets)."""

Subject = NewType("Subject", str)
"""A person as a pseudonym: ``s-`` and 32 hexadecimal digits; the same for every spelling of one mailbox."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address that can be written to.

    Args:
        address: As mail is sent: local part as given (NFC), domain as lower-case A-labels.
        canonical: The one spelling that this mailbox's addresses share; for comparing, never for sending.
        domain: The address's domain, lower-case A-labels.
    """

    address: str
    canonical: str
    domain: str


@dataclass(frozen=True, slots=True)
class _Provider:
    """What a provider says about spellings that reach the same mailbox.

    Args:
        domains: Its domains, separated by spaces; what follows is known for these alone.
        ignored: Characters of the local part that make no difference.
        merged: Whether a local part belongs to one account under all of them; the first then stands for all.
    """

    domains: str
    ignored: str = ""
    merged: bool = False


_PROVIDERS: Final = (
    # Gmail Help: dots do not matter, nor does what follows a plus sign; googlemail.com is gmail.com.
    _Provider("gmail.com googlemail.com", ignored=".", merged=True),
    # Proton Support, "Addresses and aliases": plus aliases; a name under one of these domains is kept for the
    # account that has it under another. Dots, hyphens and underscores make no new name.
    _Provider("proton.me protonmail.com protonmail.ch pm.me", ignored=".-_", merged=True),
    # Apple Support, iCloud Mail: name+tag reaches name; a me.com or mac.com name is the same at icloud.com.
    _Provider("icloud.com me.com mac.com", merged=True),
    # Fastmail Help, "Plus addressing". Its many other domains hold separate mailboxes and are left alone.
    _Provider("fastmail.com fastmail.fm"),
    # Microsoft, Outlook.com: plus addressing. The same name under two domains is two mailboxes.
    _Provider(
        """
        outlook.com outlook.at outlook.be outlook.cz outlook.de outlook.dk outlook.es outlook.fr outlook.hu
        outlook.ie outlook.it outlook.lv outlook.pt outlook.sk outlook.com.ar outlook.com.au outlook.com.br
        outlook.com.gr outlook.com.tr
        hotmail.com hotmail.at hotmail.be hotmail.ch hotmail.co.uk hotmail.de hotmail.dk hotmail.es hotmail.fi
        hotmail.fr hotmail.gr hotmail.it hotmail.nl hotmail.no hotmail.se hotmail.com.ar hotmail.com.br
        hotmail.com.tr
        live.com live.at live.be live.ca live.co.uk live.com.ar live.com.au live.com.mx live.com.pt live.de
        live.dk live.fi live.fr live.ie live.it live.nl live.no live.se
        msn.com windowslive.com
        """
    ),
)
"""Providers whose mailboxes have several spellings; all of them drop what follows a plus sign. Yahoo is not
here: its disposable addresses are a base name, a hyphen and a word, not to be told from a hyphenated name."""

_UNSAFE_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
"""Controls, format characters, line breaks and code points without a meaning of their own."""

_PSEUDONYM: Final = re.compile(r"s-[0-9a-f]{32}")
_CJK: Final = frozenset({"HAN", "HIRAGANA", "KATAKANA", "BOPOMOFO", "HANGUL"})
_IGNORABLE_SCRIPTS: Final = frozenset({"COMMON", "INHERITED"})
_CYRILLIC_LIKE_LATIN: Final = frozenset("асԁеһіјӏорԛѕԝхуѵ")  # noqa: RUF001 (the point)
_CYRILLIC_TOP_LEVEL_DOMAINS: Final = frozenset({"bg", "by", "kg", "kz", "mk", "mn", "rs", "ru", "su", "ua"})


def read_mailbox(text: str) -> Mailbox:
    """Read an address as a person or a program wrote it; nothing is looked up on the network.

    Args:
        text: The address alone, without a display name; space around it is forgiven.

    Raises:
        InvalidInput: ``invalid_address``, or ``lookalike_domain`` where `is_lookalike` says so. The pointer
            is empty, for the caller to fill in; the message does not repeat the address.
    """
    given = text.strip()
    if len(given) > MAX_LENGTH or ENCODED_WORD in given:
        raise _invalid_address()
    if is_plain_address(given):
        local, _, host = given.rpartition("@")
        domain = host.lower()
        return Mailbox(f"{local}@{domain}", _canonical(local, domain), domain)
    if any(map(_is_unsafe, given)):
        raise _invalid_address()
    try:
        valid = validate_email(given, allow_smtputf8=True, allow_quoted_local=False, check_deliverability=False)
    except EmailNotValidError:
        raise _invalid_address() from None
    domain = valid.ascii_domain.lower()
    # Not the validator's local part: it writes INFO@ as info@, and only the receiver knows what case means.
    local = unicodedata.normalize("NFC", given.rpartition("@")[0])
    address = f"{local}@{domain}"
    if len(address.encode()) > MAX_LENGTH:
        raise _invalid_address()
    if is_lookalike(domain):
        raise InvalidInput("", "lookalike_domain", "The address's domain imitates one in another script.")
    return Mailbox(address, _canonical(local, domain), domain)


def _is_unsafe(char: str) -> bool:
    return unicodedata.category(char) in _UNSAFE_CATEGORIES


def subject_of(mailbox: Mailbox, key: bytes) -> Subject:
    """The pseudonym of the person behind a mailbox: HMAC-SHA256 of its canonical form, cut to 128 bits.

    Args:
        mailbox: Any spelling of the mailbox.
        key: Secret of the installation. Without it no pseudonym can be made from an address, and another key
            gives unrelated pseudonyms.
    """
    digest = hmac.digest(key, mailbox.canonical.encode(), "sha256")
    return Subject(f"s-{digest[:16].hex()}")


def read_person(text: str, key: bytes) -> tuple[Subject, Mailbox | None]:
    """The person that a pseudonym, or an address in any of its mailbox's spellings, stands for.

    Args:
        text: A pseudonym (``s-…``) or an address; space around it is forgiven.
        key: As for `subject_of`.

    Raises:
        InvalidInput: Neither a pseudonym nor an address.
    """
    if _PSEUDONYM.fullmatch(pseudonym := text.strip()):
        return Subject(pseudonym), None
    mailbox = read_mailbox(text)
    return subject_of(mailbox, key), mailbox


def is_lookalike(domain: str) -> bool:
    """Whether a label can be taken for another: paypal.com with one Cyrillic letter, or with Cyrillic alone.

    A label of one script passes, whichever it is, and so do the mixes that Chinese, Japanese and Korean are
    written in (Unicode TS 39, "highly restrictive"). Other mixes are look-alikes when one of their letters
    can be confused with a Latin one. A label in Cyrillic letters that all look Latin is one, too, unless the
    top-level domain leads to expect Cyrillic.

    Args:
        domain: As A-labels or Unicode, any case; one that is no valid IDN is no look-alike either.
    """
    try:
        labels = idna.decode(domain, uts46=True).split(".")
    except idna.IDNAError:
        return False
    latin_expected = labels[-1].isascii() and labels[-1] not in _CYRILLIC_TOP_LEVEL_DOMAINS
    return any(_mixes_scripts(label) or (latin_expected and _imitates_latin(label)) for label in labels)


def _mixes_scripts(label: str) -> bool:
    scripts = frozenset(categories.unique_aliases(label)) - _IGNORABLE_SCRIPTS
    if len(scripts) <= 1 or scripts <= _CJK | {"LATIN"}:
        return False
    return bool(confusables.is_confusable(label, preferred_aliases=["latin"]))


def _imitates_latin(label: str) -> bool:
    letters = frozenset(filter(str.isalpha, label))
    return bool(letters) and letters <= _CYRILLIC_LIKE_LATIN


def _canonical(local: str, domain: str) -> str:
    """One spelling per mailbox. Case is dropped: no provider of note tells mailboxes apart by it."""
    lowered = unicodedata.normalize("NFC", local.lower())
    provider = _providers().get(domain)
    if provider is None:
        return f"{lowered}@{domain}"
    base = lowered.partition("+")[0] or lowered
    kept = base.translate(str.maketrans("", "", provider.ignored)) or base
    return f"{kept}@{provider.domains.split()[0] if provider.merged else domain}"


@cache
def _providers() -> dict[str, _Provider]:
    return {domain: provider for provider in _PROVIDERS for domain in provider.domains.split()}


def _invalid_address() -> InvalidInput:
    return InvalidInput("", "invalid_address", "This is not an e-mail address that can be written to.")
