"""The pages a lead meets: looking changes nothing, pressing the button does."""

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import httpx
import pytest

from consentflow.domain.letters import LetterKind

if TYPE_CHECKING:
    from tests.api.conftest import Api
    from tests.conftest import HandClock

PAGES = ["confirm", "unsubscribe", "preferences"]


def check_headers(response: httpx.Response) -> None:
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["x-frame-options"] == "DENY"
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_looking_at_a_page_changes_nothing_however_often(api: "Api", page: str, method: str) -> None:
    await api.register()
    links = await api.mail_leaves()
    before = await api.show()
    stored = await api.everything_stored(without="ledger")
    entries = [row["event"] for row in await api.rows("ledger ORDER BY entry_id")]
    for _ in range(3):
        response = await api.client.request(method, links[page])
        assert response.status_code == 200
        check_headers(response)
        assert ("<form" in response.text) is (method == "GET")
    assert await api.everything_stored(without="ledger") == stored
    # A fetch may be put on record as what it is: no consent, and no change to anything.
    added = [row["event"] for row in await api.rows("ledger ORDER BY entry_id")][len(entries) :]
    assert set(added) <= {"link_fetched"}
    assert await api.show() == before


async def test_the_button_confirms_and_pressing_again_is_friendly(api: "Api") -> None:
    await api.register()
    links = await api.mail_leaves()
    first = await api.client.post(links["confirm"])
    assert (await api.show())["state"] == "confirmed"
    stored = await api.everything_stored()
    again = await api.client.post(links["confirm"])
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.text == first.text
    check_headers(first)
    assert await api.everything_stored() == stored


async def test_of_many_presses_at_once_one_counts(api: "Api") -> None:
    await api.register()
    links = await api.mail_leaves()
    answers = await asyncio.gather(*(api.client.post(links["confirm"]) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert Counter(row["fact"] for row in await api.rows("facts")) == {"confirmed": 1}


async def test_the_link_to_object_suppresses_and_erases(api: "Api") -> None:
    await api.register(registered_by=None)
    links = await api.mail_leaves()
    assert (await api.client.post(links["unsubscribe"])).status_code == 200
    assert (await api.show())["state"] == "suppressed"
    assert await api.rows("contacts") == []
    assert (await api.client.get(links["confirm"])).status_code == 404
    assert (await api.client.post(links["confirm"])).status_code == 404
    assert (await api.show())["state"] == "suppressed"


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("application/x-www-form-urlencoded", b"List-Unsubscribe=One-Click"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--\r\n',
        ),
    ],
)
async def test_a_mail_programs_one_click_objects_without_a_cookie(api: "Api", media_type: str, body: bytes) -> None:
    await api.register(country="FR")
    await api.correct("r-1", "DE")
    links = await api.mail_leaves()
    response = await api.client.post(links["unsubscribe"], content=body, headers={"Content-Type": media_type})
    assert response.status_code == 200
    assert (await api.show())["state"] == "suppressed"


async def test_the_link_of_a_notice_objects_as_well(api: "Api", clock: "HandClock") -> None:
    await api.register(country="FR", registered_by=None)
    clock.pass_time(days=30)
    links = await api.mail_leaves("r-1", LetterKind.NOTICE)
    assert set(links) == {"unsubscribe", "preferences"}
    assert (await api.client.post(links["unsubscribe"])).status_code == 200
    assert await api.rows("contacts") == []
    assert (await api.register("r-2")).json()["state"] == "suppressed"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("page", PAGES)
async def test_an_unknown_link_is_not_found_and_reveals_nothing(api: "Api", method: str, page: str) -> None:
    await api.register()
    await api.mail_leaves()
    stored = await api.everything_stored()
    for token in ("AAAAAAAAAAAAAAAAAAAAAA", "x", "%00", "%ff%fe", "' OR 1=1 --", "x" * 200):
        response = await api.client.request(method, f"/{page}/{token}")
        assert response.status_code == 404
        check_headers(response)
        assert {mark for mark in ("lea@", "Lea", "Muster", "Firma", "p-77") if mark in response.text} == set()
    assert await api.everything_stored() == stored


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_link_serves_its_own_purpose_alone(api: "Api", method: str) -> None:
    await api.register()
    links = await api.mail_leaves()
    swapped = [
        links["confirm"].replace("confirm", "unsubscribe"),
        links["unsubscribe"].replace("unsubscribe", "confirm"),
    ]
    assert [(await api.client.request(method, path)).status_code for path in swapped] == [404, 404]
    assert (await api.show())["state"] == "awaiting_confirmation"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_expired_question_cannot_be_answered(api: "Api", clock: "HandClock", method: str) -> None:
    await api.register()
    links = await api.mail_leaves()
    clock.pass_time(days=30)
    assert (await api.client.request(method, links["confirm"])).status_code == 404
    assert (await api.show())["state"] == "awaiting_confirmation"
    assert (await api.client.post(links["unsubscribe"])).status_code == 200


async def test_a_page_can_be_read_in_another_language(api: "Api") -> None:
    await api.register()
    links = await api.mail_leaves()
    german = await api.client.get(links["confirm"])
    french = await api.client.get(links["confirm"], params={"language": "fr"})
    nonsense = await api.client.get(links["confirm"], params={"language": "xx"})
    assert '<html lang="de"' in german.text
    assert '<html lang="fr"' in french.text
    assert nonsense.text == german.text


@pytest.mark.parametrize("page", PAGES)
async def test_no_page_shows_who_the_link_belongs_to_or_who_registered(api: "Api", page: str) -> None:
    await api.register(partner_id="p-secret", registered_by="ana@secretpartner.example")
    links = await api.mail_leaves()
    shown = (await api.client.get(links[page])).text + (await api.client.post(links[page])).text
    assert {mark for mark in ("secret", "lea@", "Muster", "r-1") if mark in shown} == set()
