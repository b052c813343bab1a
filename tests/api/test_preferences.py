"""The page of choices: where a lead stands, and what its buttons do."""

from typing import TYPE_CHECKING

import pytest

from consentflow.domain.letters import LetterKind

if TYPE_CHECKING:
    from tests.api.conftest import Api
    from tests.conftest import HandClock


async def test_looking_at_the_choices_changes_nothing(api: "Api") -> None:
    await api.register()
    links = await api.mail_leaves()
    stored = await api.everything_stored()
    for method in ("GET", "HEAD"):
        assert (await api.client.request(method, links["preferences"])).status_code == 200
    assert await api.everything_stored() == stored


async def test_withdrawing_a_consent_takes_one_press_and_erases(api: "Api") -> None:
    await api.register(registered_by=None)
    links = await api.mail_leaves()
    await api.client.post(links["confirm"])
    answer = await api.client.post(links["preferences"], data={"choice": "withdraw"})
    assert answer.status_code == 200
    assert (await api.show())["state"] == "withdrawn"
    assert await api.rows("contacts") == []
    assert "consent_withdrawn" in [row["event"] for row in await api.rows("ledger")]


async def test_after_a_withdrawal_a_new_registration_asks_again(api: "Api", clock: "HandClock") -> None:
    await api.register(registered_by=None)
    links = await api.mail_leaves()
    await api.client.post(links["confirm"])
    clock.pass_time(days=1)
    await api.client.post(links["preferences"], data={"choice": "withdraw"})
    clock.pass_time(days=1)
    again = (await api.register("r-2", registered_by=None)).json()
    assert (again["state"], again["reason"]) == ("accepted", "double_opt_in_region")


async def test_a_consent_given_after_a_withdrawal_counts(api: "Api", clock: "HandClock") -> None:
    await api.register(registered_by=None)
    links = await api.mail_leaves()
    await api.client.post(links["confirm"])
    clock.pass_time(days=1)
    await api.client.post(links["preferences"], data={"choice": "withdraw"})
    clock.pass_time(days=1)
    await api.happened("contact.opted_in")
    assert (await api.register("r-2", registered_by=None)).json()["state"] == "confirmed"


async def test_withdrawing_twice_or_without_a_consent_changes_nothing(api: "Api") -> None:
    await api.register()
    links = await api.mail_leaves()
    stored = await api.everything_stored()
    assert (await api.client.post(links["preferences"], data={"choice": "withdraw"})).status_code == 200
    assert await api.everything_stored() == stored


async def test_objecting_by_choice_suppresses_also_what_was_confirmed(api: "Api") -> None:
    await api.register(registered_by=None)
    links = await api.mail_leaves()
    await api.client.post(links["confirm"])
    await api.client.post(links["preferences"], data={"choice": "object"})
    assert (await api.show())["state"] == "suppressed"
    assert await api.rows("contacts") == []
    assert (await api.register("r-2", registered_by=None)).json()["reason"] == "objected"


async def test_the_language_chosen_is_kept_for_the_mails_to_come(api: "Api") -> None:
    await api.register()
    links = await api.mail_leaves()
    answer = await api.client.post(links["preferences"], data={"choice": "language", "language": "it"})
    assert '<html lang="it">' in answer.text
    assert {"email": "lea@firma.example", "language": "it"} in await api.rows("contacts", "email, language")


@pytest.mark.parametrize("choice", ["language", "withdraw", "object", "nonsense", None])
async def test_a_guessed_link_reveals_and_changes_nothing(api: "Api", choice: str | None) -> None:
    await api.register()
    links = await api.mail_leaves()
    stored = await api.everything_stored()
    for path in ("/preferences/" + "x" * 22, links["confirm"].replace("confirm", "preferences")):
        answer = await api.client.post(path, data={"choice": choice} if choice else {})
        assert answer.status_code == 404
        assert "firma" not in answer.text.lower()
    assert await api.everything_stored() == stored


async def test_a_notice_carries_the_same_choices(api: "Api", clock: "HandClock") -> None:
    await api.register(country="FR")
    clock.pass_time(days=30)
    links = await api.mail_leaves("r-1", LetterKind.NOTICE)
    assert set(links) == {"unsubscribe", "preferences"}
    page = await api.client.get(links["preferences"])
    assert "<select" in page.text
    assert 'value="withdraw"' not in page.text
