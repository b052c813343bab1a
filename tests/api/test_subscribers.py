"""A partner's people who are told what its companies do: asked first, told what they chose, gone when they leave."""

import asyncio
import re
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
import pytest

from consentflow.domain.addresses import read_mailbox, subject_of
from consentflow.domain.errors import NotFound, RecipientRefused
from consentflow.domain.notifications import Action, Delivery
from consentflow.domain.partners import Choice, SubscriberState
from consentflow.domain.secrets import derive_key
from consentflow.operations.posting import Outcome
from tests.api.conftest import Given, Json

if TYPE_CHECKING:
    from consentflow.domain.addresses import Subject
    from tests.api.conftest import Api
    from tests.conftest import HandClock

ANA = "ana@partner.example"
PATH = "/v1/partners/p-77/subscribers"
CHOICE: Json = {"actions": ["demo_requested", "trial_requested"], "delivery": "weekly", "hour": 7, "weekday": 4}


def subject(api: "Api", email: str = ANA) -> "Subject":
    key = derive_key(api.parts.settings.secret_key.get_secret_value(), "subject")
    return subject_of(read_mailbox(email), key)


async def put(api: "Api", email: str = ANA, partner_id: str = "p-77", **changes: Given) -> Json:
    body = {name: value for name, value in (CHOICE | changes).items() if value is not None}
    response = await api.call("PUT", f"/v1/partners/{partner_id}/subscribers/{email}", json=body)
    assert response.status_code == 200, response.text
    resource: Json = response.json()
    return resource


async def show(api: "Api", email: str = ANA) -> Json:
    resource: Json = (await api.call("GET", f"{PATH}/{email}")).json()
    return resource


async def links(api: "Api") -> list[dict[str, str]]:
    """The links of every mail that asks, the latest last."""
    mails = await api.rows("mails WHERE purpose = 'subscription' AND content IS NOT NULL ORDER BY frozen_at, mail_id")
    found = []
    for mail in mails:
        text = mail["content"].decode().replace("=\r\n", "")
        found.append(
            {each[1]: f"/{each[1]}/{each[2]}" for each in re.finditer(r"/(subscription|unsubscribe)/([\w-]{22})", text)}
        )
    return found


async def told(api: "Api") -> list[str]:
    """What the ledger says of subscribers."""
    rows = await api.rows("ledger WHERE event LIKE 'subscriber%' ORDER BY entry_id")
    return [f"{row['event'].removeprefix('subscriber_')} {row['detail']['how']}" for row in rows]


async def subscribed(api: "Api", email: str = ANA, **changes: Given) -> dict[str, str]:
    """An active subscriber; the links of the mail that asked."""
    await put(api, email, **changes)
    asked = (await links(api))[-1]
    assert (await api.client.post(asked["subscription"])).status_code == 200
    return asked


# Being added.


async def test_a_new_subscriber_is_pending_and_asked_by_mail(api: "Api") -> None:
    resource = await put(api)
    assert resource == {
        "email": ANA,
        "kind": "partner",
        "state": "pending",
        "since": None,
        "actions": ["trial_requested", "demo_requested"],
        "delivery": "weekly",
        "hour": 7,
        "weekday": 4,
        "language": None,
    }
    assert await show(api) == resource
    (mail,) = await api.rows("mails")
    assert (mail["purpose"], mail["envelope_to"], mail["state"]) == ("subscription", ANA, "frozen")
    assert [row["payload"] for row in await api.rows("outbox")] == [{"mail_id": str(mail["mail_id"])}]
    assert set((await links(api))[0]) == {"subscription", "unsubscribe"}
    assert await told(api) == ["added request"]


async def test_the_mail_is_in_the_subscribers_language_or_else_the_partners(api: "Api") -> None:
    partner = {"name": "Parceiro Lda", "language": "pt", "timezone": "Europe/Lisbon"}
    await api.call("PUT", "/v1/partners/p-77", json=partner)
    await put(api)
    await put(api, "bob@partner.example", language="fr")
    assert Counter(row["language"] for row in await api.rows("mails")) == {"pt": 1, "fr": 1}


async def test_all_actions_is_a_word_of_its_own_and_means_those_to_come_too(api: "Api") -> None:
    assert (await put(api, actions="all"))["actions"] == "all"
    assert [row["actions"] for row in await api.rows("subscribers")] == [None]
    assert (await put(api, actions=["purchased", "purchased"]))["actions"] == ["purchased"]


async def test_hour_and_weekday_may_be_left_to_us(api: "Api") -> None:
    resource = await put(api, hour=None, weekday=None, delivery="daily")
    assert (resource["hour"], resource["weekday"]) == (8, 0)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"actions": []}, "/actions"),
        ({"actions": "some"}, "/actions"),
        ({"actions": 7}, "/actions"),
        ({"actions": ["demo_requested", "sneezed"]}, "/actions/1"),
        ({"actions": {"all": True}}, "/actions"),
        ({"delivery": "hourly"}, "/delivery"),
        ({"hour": 24}, "/hour"),
        ({"hour": -1}, "/hour"),
        ({"hour": "8"}, "/hour"),
        ({"weekday": 7}, "/weekday"),
        ({"language": "nl"}, "/language"),
        ({"email": "other@partner.example"}, "/email"),
    ],
)
async def test_a_choice_that_cannot_be_is_refused(api: "Api", changes: dict[str, Any], pointer: str) -> None:
    stored = await api.everything_stored()
    response = await api.call("PUT", f"{PATH}/{ANA}", json=CHOICE | changes)
    assert set(api.pointers(response)) == {pointer}
    assert "ana@" not in response.text
    assert await api.everything_stored() == stored


@pytest.mark.parametrize("missing", ["actions", "delivery"])
async def test_what_and_how_often_must_be_said(api: "Api", missing: str) -> None:
    for body in ({name: value for name, value in CHOICE.items() if name != missing}, CHOICE | {missing: None}):
        assert set(api.pointers(await api.call("PUT", f"{PATH}/{ANA}", json=body))) == {f"/{missing}"}


@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
@pytest.mark.parametrize(
    "email", ["secret", "secret@", "secret%00@partner.example", "secret@p%C3%A0rtner..example", ""]
)
async def test_what_is_no_address_is_refused_and_not_repeated(api: "Api", method: str, email: str) -> None:
    response = await api.call(method, f"{PATH}/{email}", json=CHOICE if method == "PUT" else None)
    assert set(api.pointers(response)) == {"/email"}
    assert "secret" not in response.text


async def test_an_address_may_have_a_slash_or_a_plus_in_it(api: "Api") -> None:
    for email in ("ana/sales@partner.example", "ana+x@partner.example"):
        assert (await put(api, email))["email"] == email
        assert (await show(api, email))["state"] == "pending"


async def test_spellings_of_one_mailbox_are_one_subscriber(api: "Api") -> None:
    await put(api, "ana.x@gmail.com")
    await put(api, "AnaX+news@googlemail.com", delivery="daily")
    assert [(row["email"], row["delivery"]) for row in await api.rows("subscribers")] == [("ana.x@gmail.com", "daily")]
    assert len(await api.rows("mails")) == 1


async def test_of_many_at_once_one_is_added_and_asked(api: "Api") -> None:
    await asyncio.gather(*(put(api) for _ in range(6)))
    assert (len(await api.rows("subscribers")), len(await api.rows("mails"))) == (1, 1)


# Being asked again.


async def test_whoever_has_been_asked_is_not_asked_again_while_there_is_time_to_answer(
    api: "Api", clock: "HandClock"
) -> None:
    await put(api)
    clock.pass_time(days=13, hours=23)
    assert (await put(api, delivery="daily"))["delivery"] == "daily"
    assert len(await links(api)) == 1
    clock.pass_time(hours=1)
    await put(api)
    assert len(await links(api)) == 2
    assert (await show(api))["state"] == "pending"
    first, second = await links(api)
    assert (await api.client.post(first["subscription"])).status_code == 404
    assert (await api.client.post(second["subscription"])).status_code == 200


async def test_whoever_is_put_again_after_having_been_removed_is_asked_again(api: "Api") -> None:
    await put(api)
    await api.call("DELETE", f"{PATH}/{ANA}")
    await put(api)
    first, second = sorted(await links(api), key=lambda each: each["subscription"])
    pages = [(await api.client.get(each["subscription"])).status_code for each in (first, second)]
    assert sorted(pages) == [200, 404]


# Confirming.


async def test_the_button_makes_the_subscriber_active_and_pressing_again_is_friendly(api: "Api") -> None:
    await put(api)
    (asked,) = await links(api)
    page = await api.client.get(asked["subscription"])
    assert "<form" in page.text
    first = await api.client.post(asked["subscription"])
    assert (await show(api))["state"] == "active"
    assert (await show(api))["since"] == "2026-11-22T09:00:00Z"
    stored = await api.everything_stored()
    again = await api.client.post(asked["subscription"])
    assert (first.status_code, again.status_code, again.text) == (200, 200, first.text)
    assert "<form" not in (await api.client.get(asked["subscription"])).text
    assert await api.everything_stored() == stored
    assert await told(api) == ["added request", "confirmed button"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("link", ["subscription", "unsubscribe"])
async def test_looking_at_a_link_changes_nothing(api: "Api", method: str, link: str) -> None:
    await put(api)
    (asked,) = await links(api)
    stored = await api.everything_stored()
    for _ in range(3):
        response = await api.client.request(method, asked[link])
        assert response.status_code == 200
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in response.headers["content-security-policy"]
        assert "set-cookie" not in response.headers
    assert await api.everything_stored() == stored


async def test_of_many_presses_at_once_one_counts(api: "Api") -> None:
    await put(api)
    (asked,) = await links(api)
    answers = await asyncio.gather(*(api.client.post(asked["subscription"]) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert await told(api) == ["added request", "confirmed button"]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("token", ["AAAAAAAAAAAAAAAAAAAAAA", "x", "%00", "%ff%fe"])
async def test_an_unknown_link_is_not_found(api: "Api", method: str, token: str) -> None:
    await put(api)
    stored = await api.everything_stored()
    for page in ("subscription", "unsubscribe"):
        response = await api.client.request(method, f"/{page}/{token}")
        assert response.status_code == 404
        assert "Partner" not in response.text
    assert await api.everything_stored() == stored


async def test_a_link_serves_its_own_purpose_alone(api: "Api") -> None:
    await put(api)
    (asked,) = await links(api)
    swapped = [
        asked["subscription"].replace("subscription", "unsubscribe"),
        asked["unsubscribe"].replace("unsubscribe", "subscription"),
        asked["unsubscribe"].replace("unsubscribe", "preferences"),
        asked["subscription"].replace("subscription", "confirm"),
    ]
    assert [(await api.client.post(path)).status_code for path in swapped] == [404] * 4
    assert (await show(api))["state"] == "pending"


async def test_the_pages_name_the_partner_and_nobody(api: "Api") -> None:
    await api.call("PUT", "/v1/partners/p-77", json={"name": "Partner <b>GmbH", "language": "de"})
    await put(api)
    (asked,) = await links(api)
    shown = [(await api.client.get(asked[link])).text for link in ("subscription", "unsubscribe")]
    shown.append((await api.client.post(asked["subscription"])).text)
    assert all("Partner &lt;b&gt;GmbH" in text for text in shown)
    assert all('<html lang="de"' in text for text in shown)
    shown.append((await api.client.post(asked["unsubscribe"])).text)
    assert not [text for text in shown if "ana@" in text]


# Changing.


async def test_an_active_subscriber_is_told_by_its_new_choice_at_once_and_without_a_mail(api: "Api") -> None:
    await subscribed(api)
    resource = await put(api, actions="all", delivery="immediate", language="it")
    assert (resource["state"], resource["actions"], resource["delivery"], resource["language"]) == (
        "active",
        "all",
        "immediate",
        "it",
    )
    assert len(await api.rows("mails")) == 1


async def test_what_is_collected_follows_the_new_choice(api: "Api") -> None:
    await api.register()
    await subscribed(api, delivery="daily", hour=8)
    await api.tell(api.event("company.demo_requested", None, data={"domain": "firma.example"}))
    await put(api, delivery="immediate")
    assert [row["due_at"] for row in await api.rows("digests")] == [datetime(2026, 11, 22, 9, 15, tzinfo=UTC)]


# Leaving.


async def test_removing_erases_the_subscriber_and_a_second_time_there_is_none(api: "Api") -> None:
    await subscribed(api)
    first = await api.call("DELETE", f"{PATH}/{ANA}")
    assert (first.status_code, first.content) == (204, b"")
    api.problem(await api.call("DELETE", f"{PATH}/{ANA}"), 404, "not_found")
    api.problem(await api.call("GET", f"{PATH}/{ANA}"), 404, "not_found")
    assert await api.rows("subscribers") == []
    assert await told(api) == ["added request", "confirmed button", "left request"]


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
async def test_a_mail_programs_one_click_ends_the_subscription_and_again_is_friendly(
    api: "Api", media_type: str, body: bytes
) -> None:
    asked = await subscribed(api)

    async def click() -> httpx.Response:
        return await api.client.post(asked["unsubscribe"], content=body, headers={"Content-Type": media_type})

    first = await click()
    assert (first.status_code, await api.rows("subscribers")) == (200, [])
    stored = await api.everything_stored()
    again = await click()
    assert (again.status_code, again.text) == (200, first.text)
    assert await api.everything_stored() == stored
    assert "<form" not in (await api.client.get(asked["unsubscribe"])).text
    assert (await api.client.get(asked["subscription"])).status_code == 404


async def test_the_link_of_an_old_mail_ends_a_subscription_that_has_begun_since(api: "Api") -> None:
    asked = await subscribed(api)
    await api.call("DELETE", f"{PATH}/{ANA}")
    await put(api)
    assert (await api.client.post(asked["unsubscribe"])).status_code == 200
    assert await api.rows("subscribers") == []


async def test_leaving_one_partner_leaves_the_others_alone(api: "Api") -> None:
    asked = await subscribed(api)
    await put(api, partner_id="p-2")
    await api.client.post(asked["unsubscribe"])
    assert [row["partner_id"] for row in await api.rows("subscribers")] == ["p-2"]


async def test_a_mail_that_asks_does_not_leave_once_its_reader_is_gone(api: "Api") -> None:
    await put(api)
    (mail,) = await api.rows("mails")
    await api.call("DELETE", f"{PATH}/{ANA}")
    assert await api.parts.posting.begin(mail["mail_id"]) is Outcome.DROPPED


# Each role for itself.


async def test_an_objection_as_a_lead_ends_no_subscription_and_leaving_is_no_objection(
    api: "Api", clock: "HandClock"
) -> None:
    asked = await subscribed(api)
    await api.register(email=ANA, registered_by=None)
    await api.client.post(asked["unsubscribe"])
    assert (await api.show())["state"] == "accepted"
    clock.pass_time(seconds=1)  # so that the mail that asks again is the latest
    await subscribed(api)
    await api.happened("contact.objected", ANA)
    assert (await api.show())["state"] == "suppressed"
    assert (await show(api))["state"] == "active"
    assert [row["email"] for row in await api.rows("subscribers")] == [ANA]
    assert await api.rows("contacts") == []


# Mail that comes back.


async def leaving(api: "Api") -> UUID:
    (mail,) = await api.rows("mails WHERE state = 'frozen'")
    await api.parts.posting.begin(mail["mail_id"])
    found: UUID = mail["mail_id"]
    return found


async def test_a_mailbox_that_refuses_what_asks_is_not_told_anything(api: "Api") -> None:
    await put(api)
    refusal = RecipientRefused("rcpt", 550, "5.1.1")
    assert await api.parts.posting.refused(await leaving(api), refusal) is Outcome.REFUSED
    assert (await show(api))["state"] == "pending"


# Whoever is signed in.


async def test_one_of_the_partners_people_joins_without_a_mail(api: "Api") -> None:
    await api.register()  # by ana
    joined = await api.parts.subscribers.join("p-77", subject(api), ANA, Choice(delivery=Delivery.IMMEDIATE))
    assert (joined.state, joined.since) == (SubscriberState.ACTIVE, api.parts.clock.now())
    assert await api.rows("mails") == []
    assert await told(api) == ["added signed_in", "confirmed signed_in"]


async def test_joining_answers_what_a_mail_asked(api: "Api") -> None:
    await put(api)
    await api.parts.subscribers.join("p-77", subject(api), ANA, Choice(frozenset({Action.PURCHASED})))
    assert ((await show(api))["state"], (await show(api))["actions"]) == ("active", ["purchased"])


async def test_nobody_joins_a_partner_whose_person_it_is_not(api: "Api") -> None:
    await api.register()
    stranger = "eve@elsewhere.example"
    with pytest.raises(NotFound):
        await api.parts.subscribers.join("p-77", subject(api, stranger), stranger, Choice())
    assert await api.rows("subscribers") == []


async def test_pausing_and_resuming_are_once_each_however_often_they_are_pressed(
    api: "Api", clock: "HandClock"
) -> None:
    await subscribed(api)
    for _ in range(2):
        assert (await api.parts.subscribers.pause("p-77", subject(api))).state is SubscriberState.PAUSED
    assert (await put(api, delivery="daily"))["state"] == "paused"
    clock.pass_time(days=1)
    for _ in range(2):
        resumed = await api.parts.subscribers.resume("p-77", subject(api))
        assert (resumed.state, f"{resumed.since:%d}") == (SubscriberState.ACTIVE, "22")
    assert await told(api) == ["added request", "confirmed button", "paused signed_in", "resumed signed_in"]


async def test_a_choice_is_changed_and_a_subscription_ended_by_its_owner(api: "Api") -> None:
    await subscribed(api)
    await api.parts.subscribers.change("p-77", subject(api), Choice(None, Delivery.DAILY, 20))
    assert ((await show(api))["delivery"], (await show(api))["hour"]) == ("daily", 20)
    for _ in range(2):
        await api.parts.subscribers.end("p-77", subject(api))
    assert await api.rows("subscribers") == []
    for step in (api.parts.subscribers.pause, api.parts.subscribers.resume):
        with pytest.raises(NotFound):
            await step("p-77", subject(api))


# The list.


async def test_subscribers_are_listed_page_by_page(api: "Api") -> None:
    people = {f"person{number}@partner.example" for number in range(7)}
    for email in people:
        await put(api, email)
    await put(api, partner_id="p-2")
    seen, after = [], ""
    for _ in range(3):
        page = (await api.call("GET", f"{PATH}?most=3{after}")).json()
        seen.append([each["email"] for each in page["subscribers"]])
        after = f"&after={page['after']}"
    assert [len(each) for each in seen] == [3, 3, 1]
    assert {email for each in seen for email in each} == people
    assert page["after"] is None


async def test_the_ledger_and_the_engine_hear_pseudonyms_only(api: "Api") -> None:
    asked = await subscribed(api)
    await api.client.post(asked["unsubscribe"])
    said = str(await api.rows("ledger")) + str(await api.rows("outbox"))
    assert "ana@" not in said
    assert "partner.example" not in said
