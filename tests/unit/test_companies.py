"""Reading the company behind a contact."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consentflow.domain.addresses import read_mailbox
from consentflow.domain.companies import CompanyRefusal, read_company_domain

AT_FIRMA = read_mailbox("anna@mail.firma.example")


@pytest.mark.parametrize(
    ("given", "domain"),
    [
        ("firma.de", "firma.de"),
        (" WWW.Firma.DE. ", "firma.de"),
        ("a.b.firma.co.uk", "firma.co.uk"),
        ("https://www.firma.de/kontakt?von=anna@firma.at#x", "firma.de"),
        ("HTTP://firma.de:8080", "firma.de"),
        ("firma.de/", "firma.de"),
        ("München.de", "xn--mnchen-3ya.de"),
        ("xn--mnchen-3ya.de", "xn--mnchen-3ya.de"),
        ("www.straße.de", "xn--strae-oqa.de"),
        ("firma。de", "firma.de"),
        ("пример.рф", "xn--e1afmkfd.xn--p1ai"),
        ("firma.github.io", "firma.github.io"),
        ("www.firma.github.io", "firma.github.io"),
        ("firma.example", "firma.example"),
        ("www.firma.unknowntld", "firma.unknowntld"),
        ("3m.com", "3m.com"),
        ("telekom.de", "telekom.de"),
        ("swisscom.ch", "swisscom.ch"),
    ],
)
def test_a_company_is_its_registrable_domain_in_a_labels(given: str, domain: str) -> None:
    company = read_company_domain(given, AT_FIRMA)
    assert company == domain
    assert not isinstance(company, CompanyRefusal)


@pytest.mark.parametrize("given", [None, "", " ", "\n"])
def test_without_a_domain_the_contacts_address_tells_the_company(given: str | None) -> None:
    assert read_company_domain(given, AT_FIRMA) == "firma.example"
    assert read_company_domain(given, read_mailbox("anna@müller.de")) == "xn--mller-kva.de"
    assert read_company_domain(given, read_mailbox("anna@gmail.com")) is CompanyRefusal.PUBLIC_MAIL_PROVIDER


@pytest.mark.parametrize(
    "domain",
    [
        *(
            "gmail.com",
            "googlemail.com",
            "outlook.com",
            "outlook.de",
            "hotmail.com",
            "icloud.com",
            "yahoo.de",
        ),
        *("gmx.de", "gmx.net", "gmx.at", "gmx.ch", "web.de", "t-online.de", "freenet.de", "posteo.de"),
        *("mailbox.org", "tutanota.com", "bluewin.ch", "hispeed.ch", "aon.at", "chello.at"),
        *(
            "orange.fr",
            "laposte.net",
            "wanadoo.fr",
            "free.fr",
            "sfr.fr",
            "libero.it",
            "virgilio.it",
            "tin.it",
        ),
        *("sapo.pt", "clix.pt", "terra.es", "telenet.be", "ziggo.nl", "seznam.cz", "wp.pl", "abv.bg"),
        *("proton.me", "mail.gmx.de", "https://www.web.de/"),
    ],
)
def test_nobody_owns_a_public_mail_provider(domain: str) -> None:
    assert read_company_domain(domain, AT_FIRMA) is CompanyRefusal.PUBLIC_MAIL_PROVIDER


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ("mailinator.com", "disposable_domain"),
        ("anything.mailinator.com", "disposable_domain"),
        ("trash-mail.com", "disposable_domain"),
        ("co.uk", "public_suffix"),
        ("github.io", "public_suffix"),
        ("anything.ck", "public_suffix"),
        ("192.0.2.1", "ip_literal"),
        ("http://192.0.2.1:8080/", "ip_literal"),
        ("１９２.0.2.1", "ip_literal"),  # noqa: RUF001 (full-width digits)
        ("[2001:db8::1]", "ip_literal"),
        ("https://[2001:db8::1]/", "ip_literal"),
        ("2001:db8::1", "ip_literal"),
        ("localhost", "single_label"),
        ("Firma", "single_label"),
        ("com", "single_label"),
        ("info@firma.de", "invalid_domain"),
        ("https://anna@firma.de", "invalid_domain"),
        ("mailto:info@firma.de", "invalid_domain"),
        ("ftp://firma.de", "invalid_domain"),
        ("https://", "invalid_domain"),
        ("[firma.de]", "invalid_domain"),
        ("Firma GmbH & Co. KG", "invalid_domain"),
        ("fir_ma.de", "invalid_domain"),
        ("-firma.de", "invalid_domain"),
        ("firma..de", "invalid_domain"),
        ("fir\nma.de", "invalid_domain"),
        ("\x00.de", "invalid_domain"),
        ("\ud800.de", "invalid_domain"),
        ("xn--a.de", "invalid_domain"),
        ("1.2.3.4.5", "invalid_domain"),
        ("300.1.1.1", "invalid_domain"),
        (".", "invalid_domain"),
        ("x" * 64 + ".de", "invalid_domain"),
        ("x." * 50_000 + "de", "invalid_domain"),
    ],
)
def test_what_nobody_can_own_is_refused_with_the_reason(given: str, refusal: str) -> None:
    assert read_company_domain(given, AT_FIRMA) is CompanyRefusal(refusal)


@settings(deadline=None)  # whichever comes first loads the tables
@given(st.text() | st.from_regex(r"(https?://)?[a-zäß0-9.-]{1,30}(:[0-9]+)?(/.*)?", fullmatch=True))
def test_any_text_gives_a_domain_that_reads_as_itself_or_a_refusal(text: str) -> None:
    company = read_company_domain(text, AT_FIRMA)
    if not isinstance(company, CompanyRefusal):
        assert company.isascii()
        assert company == company.lower()
        assert read_company_domain(company, AT_FIRMA) == company
