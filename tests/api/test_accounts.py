"""What the CRM says of companies."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.api.conftest import Api


@pytest.mark.parametrize("status", ["available", "customer", "in_sales_process", "owned_by_representative"])
async def test_the_status_of_a_company_is_kept(api: "Api", status: str) -> None:
    response = await api.call("PUT", "/v1/accounts/firma.example", json={"status": status})
    assert (response.status_code, response.json()) == (200, {"domain": "firma.example", "status": status})
    assert await api.rows("accounts", "domain, status") == [{"domain": "firma.example", "status": status}]


async def test_the_last_status_counts(api: "Api") -> None:
    await api.set_account("firma.example", "customer")
    await api.set_account("firma.example", "in_sales_process")
    api.problem(await api.register(), 409, "active_sales_process")


@pytest.mark.parametrize("given", ["WWW.Firma.Example", "shop.firma.example", "firma.example."])
async def test_a_status_holds_for_the_whole_registrable_domain(api: "Api", given: str) -> None:
    response = await api.call("PUT", f"/v1/accounts/{given}", json={"status": "customer"})
    assert response.json()["domain"] == "firma.example"
    api.problem(await api.register(company={"domain": "mail.firma.example"}), 409, "existing_customer")


async def test_a_domain_with_umlauts_is_kept_as_a_labels(api: "Api") -> None:
    response = await api.call("PUT", "/v1/accounts/m%C3%BCller.de", json={"status": "customer"})
    assert response.json()["domain"] == "xn--mller-kva.de"
    api.problem(await api.register(company={"domain": "Müller.de"}), 409, "existing_customer")


async def test_a_registration_in_force_does_not_mind_that_its_company_becomes_a_customer(api: "Api") -> None:
    before = (await api.register()).json()
    await api.set_account("firma.example", "customer")
    assert await api.show() == before


@pytest.mark.parametrize(
    ("domain", "code"),
    [
        ("gmail.com", "public_mail_provider"),
        ("co.uk", "public_suffix"),
        ("192.0.2.1", "ip_literal"),
        ("localhost", "single_label"),
        ("lea@firma.example", "invalid_domain"),
        ("%00.example", "invalid_domain"),
        ("%ff", "single_label"),
    ],
)
async def test_what_no_company_can_own_has_no_status(api: "Api", domain: str, code: str) -> None:
    stored = await api.everything_stored()
    response = await api.call("PUT", f"/v1/accounts/{domain}", json={"status": "customer"})
    pointers = api.pointers(response)
    assert set(pointers) == {"/domain"}
    assert pointers["/domain"] in {code, "invalid_domain"}
    assert "lea@" not in response.text
    assert await api.everything_stored() == stored


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"status": "unheard_of"}, "/status"),
        ({"status": None}, "/status"),
        ({"status": 1}, "/status"),
        ({}, "/status"),
        ({"status": "customer", "owner": "p-1"}, "/owner"),
        ([], ""),
        ("customer", ""),
    ],
)
async def test_a_status_we_do_not_know_is_refused(api: "Api", body: object, pointer: str) -> None:
    stored = await api.everything_stored()
    response = await api.call("PUT", "/v1/accounts/firma.example", json=body)
    assert set(api.pointers(response)) == {pointer}
    assert await api.everything_stored() == stored
