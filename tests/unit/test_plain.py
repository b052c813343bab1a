"""Plain addresses and domains are seen at a glance, and read as the tables of Unicode would read them."""

import idna
import pytest
from email_validator import validate_email
from hypothesis import example, given
from hypothesis import strategies as st

from consentflow.domain.addresses import MAX_LENGTH, is_lookalike
from consentflow.domain.companies import _is_ip_literal
from consentflow.domain.plain import is_plain_address, is_plain_host

NEARLY_HOSTS = st.text("aZ09-.", max_size=12) | st.from_regex(
    r"[a-zA-Z0-9-]{1,66}(\.[a-zA-Z0-9-]{1,8}){1,4}", fullmatch=True
)
NEARLY_LOCALS = st.text("aZ9.+_-'@ \"\n", max_size=8)


@given(NEARLY_HOSTS)
@example("1.2.3.4")
@example("0x7f.1")
@example("xn--mller-kva.de")
@example("ab--cd.de")
@example("firma.de\n")
@example(f"{'a' * 64}.de")
@example(".".join(["a" * 49] * 5) + ".de")
def test_a_plain_host_is_its_own_a_labels_and_no_number(host: str) -> None:
    if is_plain_host(host):
        assert idna.encode(host, uts46=True).decode() == host.lower()
        assert not _is_ip_literal(host)
        assert not host.rpartition(".")[2].isdigit()
        assert not is_lookalike(host)


@given(NEARLY_LOCALS, NEARLY_HOSTS)
@example("a", "example.test")
@example("a", "a.localhost")
@example("a", "Sub.Local")
@example("a\n", "firma.de")
def test_a_plain_address_is_one_that_the_validator_takes_with_the_same_domain(local: str, host: str) -> None:
    address = f"{local}@{host}"
    if len(address) <= MAX_LENGTH and is_plain_address(address):
        valid = validate_email(address, allow_quoted_local=False, check_deliverability=False)
        assert valid.ascii_domain == host.lower()


@pytest.mark.parametrize("address", ["lea.muster@firma.example", "o'brien+x@a-b.co.uk", "LEA@4you.De", "1@2.com"])
def test_what_people_are_called_is_plain(address: str) -> None:
    assert is_plain_address(address)


@pytest.mark.parametrize(
    "address", ["lea@firma", "lea@müller.de", "lea@xn--mller-kva.de", "léa@firma.de", "lea@firma.de.", "a b@firma.de"]
)
def test_whatever_has_an_edge_to_it_is_left_to_the_tables(address: str) -> None:
    assert not is_plain_address(address)
