"""Data-source requests at the console: the clock, the letter, two officers at once."""

import asyncio
import re
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tests.api.officers import COLLEAGUE, LEA, OFFICER, Console, posted
from tests.api.signing_in import ANA, form_token
from tests.conftest import HandClock

if TYPE_CHECKING:
    from tests.api.conftest import Api, Json

REASON = "The interests of the person who registered you prevail."


async def acknowledged(console: Console) -> None:
    """What the requests' workflows do first."""
    for row in await console.api.rows("source_requests", "request_id"):
        await console.api.parts.source_clock.advance(row["request_id"])


async def test_the_clock_counts_from_the_day_of_receipt(console: Console) -> None:
    page = await console.look(await console.ask(received_on="2026-10-31"))
    assert "Monday, 30 November 2026" in page
    assert "due in 8 days, 6 of them working days" in page


async def test_a_deadline_on_a_holiday_moves_to_a_working_day(console: Console) -> None:
    page = await console.look(await console.ask(received_on="2026-09-03"))
    assert "Saturday, 3 October 2026" in page
    assert "Monday, 5 October 2026" in page
    assert "moved to a working day" in page


@pytest.mark.parametrize("wrong", [{"email": "lea@"}, {"received_on": "2027-01-01"}, {"received_on": "soon"}])
async def test_what_is_wrong_is_marked_and_what_was_typed_stays(console: Console, wrong: "Json") -> None:
    given = {"email": LEA, "message": "whence?", **wrong}
    page = (await console.send("/console/requests", 422, **given)).text
    assert 'aria-invalid="true"' in page
    assert "whence?" in page


async def test_the_letter_leaves_exactly_as_it_was_looked_at(api: "Api", console: Console) -> None:
    request = await console.ask()
    button = await console.letter(request, choice="partly:partner", reason=REASON, balancing="Weighed.")
    looked_at = (await console.send(f"{request}/preview", 200, choice="partly:partner", reason=REASON)).text
    assert await posted(api, "source_decision") == []
    await console.send(f"{request}/decision", **button)
    (letter,) = await posted(api, "source_decision")
    assert REASON in letter
    assert "p-77" in letter
    assert ANA not in letter
    for line in letter.splitlines():
        assert line.strip() in looked_at.replace("&#39;", "'").replace("&lt;", "<").replace("&gt;", ">")
    page = await console.look(request)
    for told in ("Partly disclosed", OFFICER, REASON, "Weighed."):
        assert told in page


async def test_a_letter_that_would_read_differently_by_now_is_shown_again(api: "Api", console: Console) -> None:
    request = await console.ask()
    button = await console.letter(request, choice="disclose")
    await api.register("r-2", email=LEA, partner_id="p-77", registered_by="max@partner.example")
    again = await console.send(f"{request}/decision", 409, **button)
    assert "What is known has changed" in again.text
    assert "max@partner.example" in again.text
    assert await posted(api, "source_decision") == []
    await console.send(f"{request}/decision", **await console.letter(request, choice="disclose"))
    (letter,) = await posted(api, "source_decision")
    assert "max@partner.example" in letter


async def test_of_two_officers_at_once_one_decides_and_the_other_is_told(
    api: "Api", console: Console, colleague: Console
) -> None:
    request = await console.ask()
    buttons = [await each.letter(request, choice="disclose") for each in (console, colleague)]
    tokens = [form_token(await each.client.get("/console")) for each in (console, colleague)]
    answers = await asyncio.gather(
        *(
            each.client.post(f"{request}/decision", data={"csrf": token, **button})
            for each, token, button in zip((console, colleague), tokens, buttons, strict=True)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [303, 409]
    (first,) = (index for index, answer in enumerate(answers) if answer.status_code == 303)
    told = answers[1 - first].text
    assert "Somebody has decided this request meanwhile" in told
    assert (OFFICER, COLLEAGUE)[first] in told
    assert "Disclosed" in told
    assert len(await posted(api, "source_decision")) == 1


@pytest.mark.parametrize("fields", [{}, {"choice": "refuse"}, {"choice": "nonsense"}, {"choice": "partly:all"}])
async def test_an_incomplete_decision_is_asked_for_again(console: Console, fields: "Json") -> None:
    request = await console.ask()
    page = (await console.send(f"{request}/preview", 422, balancing="Weighed.", **fields)).text
    assert "Something is missing" in page
    assert "Weighed." in page


async def test_nothing_is_disclosed_before_it_is_known_who_asks(console: Console) -> None:
    request = (await console.send("/console/requests", email=LEA)).headers["location"]
    page = await console.look(request)
    assert 'value="disclose"' not in page
    assert "Nothing can be disclosed before" in page
    assert "Nothing can be disclosed before" in (await console.send(f"{request}/preview", 409, choice="disclose")).text


async def test_is_extended_once_and_the_person_is_told_why(api: "Api", console: Console) -> None:
    request = await console.ask(country="FR")
    await console.send(f"{request}/extension", 422, extension_reason=" ")
    await console.send(f"{request}/extension", extension_reason="Nous devons demander à deux partenaires.")
    (letter,) = await posted(api, "source_extension")
    assert "Nous devons demander" in letter
    assert "Monday, 22 February 2027" in await console.look(request)
    again = await console.send(f"{request}/extension", 409, extension_reason="again")
    assert "has been extended already" in again.text


async def test_is_paused_and_goes_on(console: Console) -> None:
    request = await console.ask()
    await console.send(f"{request}/pause", 422, pause_reason="who?", pause_until="2027-05-01")
    await console.send(f"{request}/pause", pause_reason="who?", pause_until="2026-12-01")
    assert "Paused until" in await console.look(request)
    await console.send(f"{request}/resume")
    assert "Paused until" not in await console.look(request)
    assert "not standing still" in (await console.send(f"{request}/resume", 409)).text


async def test_the_day_begins_with_what_is_most_urgent(console: Console, clock: HandClock) -> None:
    clock.at = datetime.fromisoformat("2026-11-20T09:00:00Z")
    ids = {}
    for name, day in (("overdue", "2026-10-16"), ("soon", "2026-10-26"), ("review", "2026-11-19")):
        ids[name] = (await console.ask(f"{name}@firma.example", received_on=day)).rpartition("/")[2]
    waiting = await console.send("/console/requests", email="waits@firma.example")
    ids["requester"] = waiting.headers["location"].rpartition("/")[2]
    await acknowledged(console)
    page = await console.look("/console")
    for name, request_id in ids.items():
        section = page.partition(f'id="{name}"')[2].partition("</section>")[0]
        assert re.findall(r"/console/requests/(sr-\w+)", section) == [request_id]
    assert "4 days over" in page
    assert "due in 6 days, 4 of them working days" in page
    assert page.index(ids["overdue"]) < page.index(ids["soon"]) < page.index(ids["review"])


async def test_one_letter_answers_a_request_and_what_repeats_it(api: "Api", console: Console) -> None:
    first = await console.ask()
    second = (await console.send("/console/requests", email=LEA)).headers["location"]
    assert second in await console.look(first)
    assert "answers this one, too" in await console.look(second)
    await console.send(f"{first}/decision", **await console.letter(first, choice="disclose"))
    assert len(await posted(api, "source_decision")) == 1
    page = await console.look(second)
    assert "Disclosed" in page
    assert ANA in page
