"""Reading e-mail addresses."""

import re
from collections.abc import Callable
from dataclasses import astuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consentflow.domain.addresses import Mailbox, is_lookalike, read_mailbox, subject_of
from consentflow.domain.errors import InvalidInput

KEY = b"key of a test installation"
PAYPAL_WITH_CYRILLIC_A = "p\u0430ypal.com"
PAYPAL_IN_CYRILLIC = "\u0440\u0430\u0443\u0440\u0430\u04cf.com"
LOCALS = st.from_regex(r"[A-Za-z0-9]{1,8}([._+-][A-Za-z0-9]{1,8}){0,3}", fullmatch=True)
DOMAINS = st.sampled_from(
    ["gmail.com", "GoogleMail.com", "proton.me", "outlook.de", "me.com", "fastmail.com", "Firma.example"]
)


def canonical(address: str) -> str:
    return read_mailbox(address).canonical


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (" Anna.Meier@Firma.DE\n", "Anna.Meier@firma.de"),
        ("INFO@firma.de", "INFO@firma.de"),
        ("anna@Müller.de", "anna@xn--mller-kva.de"),
        ("anna@xn--mller-kva.de", "anna@xn--mller-kva.de"),
        ("anna@straße.de", "anna@xn--strae-oqa.de"),
        ("ju\u0308rgen@firma.de", "jürgen@firma.de"),
        ("a@пример.рф", "a@xn--e1afmkfd.xn--p1ai"),
        ("a@例え.jp", "a@xn--r8jz45g.jp"),
        ("a+b@firma.example", "a+b@firma.example"),
        ("o'brien@firma.ie", "o'brien@firma.ie"),
    ],
)
def test_mail_goes_to_the_local_part_as_given_at_the_domain_in_a_labels(text: str, address: str) -> None:
    mailbox = read_mailbox(text)
    assert mailbox.address == address
    assert mailbox.domain == address.rpartition("@")[2]


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("Anna.Meier@Firma.de", "anna.meier@firma.de"),
        ("anna+list@firma.de", "anna+list@firma.de"),
        ("a.nna.M+crm@googlemail.com", "annam@gmail.com"),
        ("anna-m@gmail.com", "anna-m@gmail.com"),
        ("anna.m+x@hotmail.de", "anna.m@hotmail.de"),
        ("Anna+x+y@outlook.com", "anna@outlook.com"),
        ("anna+x@live.fr", "anna@live.fr"),
        ("anna+x@msn.com", "anna@msn.com"),
        ("anna.m+x@me.com", "anna.m@icloud.com"),
        ("anna@mac.com", "anna@icloud.com"),
        ("anna.m+x@fastmail.fm", "anna.m@fastmail.fm"),
        ("a.n-n_a+x@pm.me", "anna@proton.me"),
        ("anna@protonmail.com", "anna@proton.me"),
        ("anna-shop@yahoo.com", "anna-shop@yahoo.com"),
        ("anna.m+x@yahoo.de", "anna.m+x@yahoo.de"),
        ("+@gmail.com", "+@gmail.com"),
        ("_@proton.me", "_@proton.me"),
        ("ÄRGER@firma.de", "ärger@firma.de"),
        ("strasse@firma.de", "strasse@firma.de"),
        ("straße@firma.de", "straße@firma.de"),
    ],
)
def test_spellings_of_one_mailbox_share_one_canonical_form(text: str, spelling: str) -> None:
    assert canonical(text) == spelling


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "anna",
            "anna@",
            "@firma.de",
            "anna@localhost",
            "anna@firma",
            "anna@firma.de.",
            "a..b@firma.de",
        ),
        *("anna@[192.0.2.1]", "anna@192.0.2.1", '"anna b"@firma.de', "Anna <anna@firma.de>", "a@b@firma.de"),
        *(
            "a@b.de NOTIFY=NEVER",
            "a@b.de\r\nRCPT TO:<x@y.de>",
            "a@b.de,c@d.de",
            "a b@firma.de",
            "a@fir ma.de",
        ),
        *("a\x00@firma.de", "a\u200b@firma.de", "a\u202e@firma.de", "a@fir\u200dma.de", "a\u200c@firma.de"),
        *("a\u2028@firma.de", "a\ue000@firma.de", "\ud800@firma.de", "\ufeffa@firma.de"),
        *("=?utf-8?q?=0d=0a?=@firma.de", "a@-firma.de", "a@fir_ma.de", "a@xn--a.de", "a@firma.invalid"),
        *("x" * 65 + "@" + "y" * 63 + "." + "z" * 63 + "." + "v" * 63 + ".de", "ü" * 130 + "@firma.de"),
        "x" * 100_000 + "@firma.de",
    ],
)
def test_what_is_no_plain_address_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        read_mailbox(text)
    assert (refusal.value.pointer, refusal.value.code) == ("", "invalid_address")
    assert "firma" not in str(refusal.value)


def test_an_address_may_have_254_octets_and_no_more() -> None:
    domain = ".".join(["y" * 61, "y" * 61, "y" * 62, "de"])
    assert len(read_mailbox(f"{'x' * 64}@{domain}").address) == 254
    with pytest.raises(InvalidInput):
        read_mailbox(f"{'x' * 64}@y{domain}")


@pytest.mark.parametrize(
    "domain",
    [
        PAYPAL_WITH_CYRILLIC_A,
        PAYPAL_WITH_CYRILLIC_A.encode("idna").decode(),
        f"mail.{PAYPAL_WITH_CYRILLIC_A.upper()}",
        PAYPAL_IN_CYRILLIC,
        "goοgle.com",  # noqa: RUF001 (a Greek omicron)
    ],
)
def test_look_alike_domains_are_refused(domain: str) -> None:
    assert is_lookalike(domain)
    with pytest.raises(InvalidInput) as refusal:
        read_mailbox(f"anna@{domain}")
    assert refusal.value.code == "lookalike_domain"
    assert domain not in str(refusal.value)


@pytest.mark.parametrize(
    "domain",
    [
        *("paypal.com", "münchen.de", "über-1.de", "straße.de", "ñandú.cl", "xn--mnchen-3ya.de"),
        *("пример.рф", "москва.com", "россия1.рф", "сосо.рф", "хор.bg"),  # noqa: RUF001 (Cyrillic)
        *(
            "ελλάδα.gr",
            "例え.jp",
            "tシャツ.jp",
            "日本語カタカナ.jp",
            "한국abc.kr",
            "中文.中国",
            "שלום.co.il",
            "مثال.com",
        ),
        *("firma.example", "", "a" * 100, "xn--a", ".."),
    ],
)
def test_domains_that_people_really_have_are_no_look_alikes(domain: str) -> None:
    assert not is_lookalike(domain)


def test_a_subject_is_a_keyed_pseudonym_that_does_not_show_the_address() -> None:
    subject = subject_of(read_mailbox("anna@firma.example"), KEY)
    assert re.fullmatch(r"s-[0-9a-f]{32}", subject)
    assert subject == "s-ea97023f340a3d9c755e4bfd06d76b0c"
    assert subject_of(read_mailbox("anna@firma.example"), b"another key") != subject
    assert subject_of(read_mailbox("bert@firma.example"), KEY) != subject


@settings(deadline=None)  # whichever comes first loads the tables
@given(LOCALS, DOMAINS)
def test_the_canonical_form_of_a_canonical_form_is_itself(local: str, domain: str) -> None:
    once = canonical(f"{local}@{domain}")
    assert canonical(once) == once


@settings(deadline=None)  # whichever comes first loads the tables
@given(LOCALS, DOMAINS, st.sampled_from([str.upper, str.lower, str.swapcase]))
def test_a_subject_is_the_same_in_every_case(local: str, domain: str, change_case: Callable[[str], str]) -> None:
    address = f"{local}@{domain}"
    spelled = f" {change_case(address)} "
    assert subject_of(read_mailbox(spelled), KEY) == subject_of(read_mailbox(address), KEY)


@settings(deadline=None)  # whichever comes first loads the tables
@given(st.from_regex(r"[a-z]{4,12}", fullmatch=True), st.data())
def test_dots_and_tags_make_no_new_subject_at_gmail(local: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(1, len(local) - 1))
    spelled = f"{local[:at]}.{local[at:]}+tag@googlemail.com"
    assert subject_of(read_mailbox(spelled), KEY) == subject_of(read_mailbox(f"{local}@gmail.com"), KEY)


@settings(deadline=None)  # whichever comes first loads the tables
@given(st.text() | st.emails())
def test_any_text_is_a_mailbox_or_is_refused(text: str) -> None:
    try:
        mailbox = read_mailbox(text)
    except InvalidInput:
        return
    assert all(astuple(mailbox))
    assert mailbox.domain.isascii()
    assert len(mailbox.address.encode()) <= 254
    assert read_mailbox(mailbox.address) == mailbox


def test_a_mailbox_is_a_frozen_value() -> None:
    assert read_mailbox("Anna@Firma.de") == Mailbox("Anna@firma.de", "anna@firma.de", "firma.de")
