"""Asking where one's data comes from, as the requester and the officer live through it on a whole stack."""

import re
from email.message import EmailMessage

from tests.acceptance.stack import Json, Stack, link_in, text_of, until
from tests.acceptance.test_browser import Browser

REQUESTS = "/v1/data-source-requests"


def mails_to(stack: Stack, address: str, path: str | None = None) -> list[EmailMessage]:
    """The mails to an address, or those with such a link."""
    return [
        mail
        for mail in stack.mails()
        if str(mail["To"]) == address and (path is None or re.search(rf"/{path}/\S+", text_of(mail)))
    ]


def requests_of(stack: Stack) -> set[str]:
    listed: list[Json] = stack.call("GET", f"{REQUESTS}?most=200").json()["requests"]
    return {each["id"] for each in listed}


def test_somebody_asks_by_keyboard_confirms_and_is_told_by_mail(real: Stack, browser: Browser) -> None:
    lead = real.register("FR", registered_by="ana@partner.example")
    address = lead["contact"]["email"]
    before = requests_of(real)
    browser.open(f"{real.info['api']}/source-request?language=en", width=380)
    assert browser.overflow == 0
    browser.tab_to("#email")
    browser.press(address)
    browser.tab_to("#country")
    browser.press("Frankreich")
    browser.press_button()
    assert browser.heading == "Please look at your mail"
    assert address not in browser.text

    asking = until("the link is there", lambda: mails_to(real, address, "identity"))
    browser.open(link_in(asking[0], "identity"))
    (request_id,) = requests_of(real) - before
    browser.press_button()
    assert browser.heading == "Thank you, your request is confirmed"
    shown = real.call("GET", f"{REQUESTS}/{request_id}").json()
    assert (shown["state"], shown["country"]) == ("in_review", "FR")
    assert [each["registered_by"] for each in shown["registrations"]] == ["ana@partner.example"]

    decision = {"decision": "disclose", "reason": ""}
    assert real.call("POST", f"{REQUESTS}/{request_id}/decision", json=decision).json()["state"] == "disclosed"
    answered = until(
        "the answer is there",
        lambda: [mail for mail in mails_to(real, address) if "ana@partner.example" in text_of(mail)],
    )
    assert len(answered) == 1
    assert "ana@partner.example" in text_of(answered[0], "html")


def test_somebody_else_asking_for_a_leads_source_learns_nothing(skipping: Stack) -> None:
    lead = skipping.register("FR", registered_by="ana@partner.example")
    address = lead["contact"]["email"]
    form = {"email": address, "name": "Eve", "message": "Please answer to eve@evil.example"}
    answer = skipping.call("POST", "/source-request", data=form)
    assert answer.status_code == 200
    until("the link is there", lambda: mails_to(skipping, address, "identity"))
    skipping.advance("P45D")
    until("the request is closed", lambda: len(mails_to(skipping, address)) >= 3)
    told = "".join(text_of(mail) + text_of(mail, "html") for mail in mails_to(skipping, address))
    assert {mark for mark in ("ana@", "partner-", "evil") if mark in told} == set()
    assert [mail for mail in skipping.mails() if "evil" in str(mail["To"])] == []
