"""The privacy officers' console as they meet it: a request goes from the public form to the letter, over Christmas."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from babel.dates import format_date
from selenium.webdriver.common.keys import Keys

from consentflow.dev.stack import OFFICER
from consentflow.templates.environment import FOLDER
from tests.acceptance.stack import Json, Stack, link_in, new_folder, running, text_of, until
from tests.acceptance.test_accessibility import PHONE, ZOOMED, Inspector
from tests.acceptance.test_browser import Browser

WIDE = 1200
LANGUAGES = ("de", "en")
PAGES = (
    "today",
    "requests",
    "requests-closed",
    "request-new",
    "request-new-wrong",
    "request",
    "request-incomplete",
    "request-preview",
    "request-conflict",
    "request-closed",
    "registration",
    "company",
    "person",
    "person-erase",
    "person-erased",
    "nothing-found",
    "missing",
    "suppressions",
    "acts",
    "ledger",
    "officers",
)


@pytest.fixture(scope="module")
def advent() -> Iterator[Stack]:
    """A stack on whose clock it is the morning of a 25 November: a month later is Christmas."""
    with new_folder() as folder, running(folder, "--time-skipping") as stack:
        now = now_at(stack)
        morning = datetime(now.year, 11, 25, 8, tzinfo=UTC)
        if morning < now:
            morning = morning.replace(year=now.year + 1)
        stack.advance(f"PT{round((morning - now).total_seconds())}S")
        yield stack


def now_at(stack: Stack) -> datetime:
    return datetime.fromisoformat(stack.call("POST", "/dev/clock", json={"advance": "PT0S"}).json()["now"])


def first_working_day(day: date) -> date:
    while day.weekday() >= 5 or (day.month, day.day) in {(12, 25), (12, 26), (1, 1)}:
        day += timedelta(days=1)
    return day


def spelled(day: date) -> str:
    return format_date(day, "full", locale="en_GB")


def mails_to(stack: Stack, address: str) -> list[EmailMessage]:
    return [mail for mail in stack.mails() if address in str(mail["To"])]


def mailed(stack: Stack, address: str, part: str) -> EmailMessage:
    """Waits for the newest mail to somebody whose text has a part in it."""
    return until(
        f"{address} is mailed “{part}”", lambda: [mail for mail in by_time(stack, address) if part in text_of(mail)]
    )[-1]


def by_time(stack: Stack, address: str) -> list[EmailMessage]:
    return sorted(mails_to(stack, address), key=lambda mail: mail["Date"].datetime)


def enter_console(browser: Browser, stack: Stack, language: str = "en") -> None:
    """Signs in by the mailed link, with the keyboard alone."""
    known = len(mails_to(stack, OFFICER))
    browser.open(f"{stack.info['api']}/console?language={language}")
    assert urlsplit(browser.url).path == "/console/sign-in"
    browser.tab_to("#email")
    browser.press(OFFICER)
    browser.press_button()
    until("the officer is mailed", lambda: len(mails_to(stack, OFFICER)) > known)
    links = [mail for mail in by_time(stack, OFFICER) if "/console/sign-in/" in text_of(mail)]
    browser.open(link_in(links[-1], "sign-in"))
    browser.press_button()


def follow(browser: Browser, selector: str, heading: str) -> None:
    """Comes to something with Tab, presses Enter, and waits for the page that follows."""
    browser.tab_to(selector)
    browser.press(Keys.ENTER)
    until(f"the page is “{heading}”", lambda: heading in browser.heading)


def ask_by_the_public_form(browser: Browser, stack: Stack, address: str, message: str) -> None:
    """Somebody asks, and presses the button behind the link that comes."""
    browser.open(f"{stack.info['api']}/source-request?language=en")
    browser.tab_to("#email")
    browser.press(address)
    browser.tab_to("#message")
    browser.press(message)
    browser.press_button()
    browser.open(link_in(mailed(stack, address, "/identity/"), "identity"))
    browser.press_button()


def extend(browser: Browser, reason: str) -> None:
    browser.tab_to("details:has(#extension_reason) summary")
    browser.press(Keys.ENTER)
    browser.tab_to("#extension_reason")
    browser.press(reason)
    browser.tab_to("form[action$='/extension'] button")
    browser.press(Keys.ENTER)
    until("it is extended", lambda: "In review, extended" in browser.text)


def look_at_the_letter(browser: Browser, balancing: str) -> str:
    """Chooses to disclose, and looks at the letter; returns what the page says."""
    browser.tab_to("input[name=choice]")
    browser.press(Keys.SPACE)
    browser.tab_to("#balancing")
    browser.press(balancing)
    follow(browser, "form[action$='/preview'] button", "not sent yet")
    return browser.text


def test_a_request_goes_from_the_public_form_to_the_letter(browser: Browser, advent: Stack) -> None:
    year = now_at(advent).year
    lead = advent.register("DE", registered_by="ana@partner.example")
    address = lead["contact"]["email"]
    ask_by_the_public_form(browser, advent, address, "Who gave you my address?")

    enter_console(browser, advent)
    assert browser.heading == "Today’s work"
    follow(browser, "[aria-labelledby=review] a", "Request sr-")
    request = browser.url
    for told in (
        spelled(date(year, 12, 25)),
        spelled(first_working_day(date(year, 12, 25))),
        "moved to a working day",
        "Who gave you my address?",
        "ana@partner.example",
    ):
        assert told in browser.text

    advent.advance("P20D")
    reminder = mailed(advent, OFFICER, request.rpartition("/")[2])
    assert address not in reminder.as_string()
    browser.open(request)
    assert urlsplit(browser.url).path == "/console/sign-in", "the session has ended meanwhile"
    enter_console(browser, advent)
    browser.open(request)
    extend(browser, "We have to ask two partners.")
    notice = mailed(advent, address, "We have to ask two partners.")
    assert format_date(first_working_day(date(year + 1, 2, 25)), "long", locale="en_GB") in text_of(notice)

    looked_at = look_at_the_letter(browser, "The person acted for its company.")
    assert not [mail for mail in mails_to(advent, address) if "ana@partner.example" in text_of(mail)]
    follow(browser, "form[action$='/decision'] button", "Request sr-")
    assert "Disclosed" in browser.text
    letter = text_of(mailed(advent, address, "ana@partner.example"))
    assert lead["partner_id"] in letter
    for line in filter(None, map(str.strip, letter.splitlines())):
        assert line in looked_at

    browser.press_button("form[action$='/sign-out'] button")
    assert browser.cookies == []


class Officer:
    """An officer at a program that keeps what it sees."""

    def __init__(self, client: httpx.Client, stack: Stack, language: str) -> None:
        self.client = client
        known = len(mails_to(stack, OFFICER))
        form = {"email": OFFICER, "language": language}
        assert self.client.post("/console/sign-in", data=form).status_code == 200
        until("the officer is mailed", lambda: len(mails_to(stack, OFFICER)) > known)
        links = [link_in(mail, "sign-in") for mail in by_time(stack, OFFICER) if "/sign-in/" in text_of(mail)]
        entered = [link for link in reversed(links) if self.client.post(link).status_code == 303]
        assert entered

    def look(self, path: str, status: int = 200) -> str:
        answer = self.client.get(f"/console{path}")
        assert answer.status_code == status, answer.text
        return answer.text

    def send(self, path: str, status: int = 303, /, **form: str) -> httpx.Response:
        found = re.search(r'name="csrf" value="(\w+)"', self.look(""))
        assert found
        answer = self.client.post(f"/console{path}", data={"csrf": found[1], **form})
        assert answer.status_code == status, answer.text
        return answer

    def leads_to(self, path: str, **form: str) -> str:
        """Where a form leads, below the console."""
        return str(self.send(path, **form).headers["location"]).removeprefix("/console")


def console_pages(officer: Officer, lead: Json, doomed: Json) -> Iterator[tuple[str, str]]:
    """Every page of the console, each with something on it."""
    address = lead["contact"]["email"]
    form = {"email": address, "name": "Lea Muster", "message": "Donaudampfschifffahrtsgesellschaftskapitänswitwe\n" * 3}
    open_one, _ = officer.leads_to("/requests", **form), officer.leads_to("/requests", **form)
    yield "request-new-wrong", officer.send("/requests", 422, email="lea@").text
    yield "request-incomplete", officer.send(f"{open_one}/preview", 422, balancing="Weighed.").text
    yield "request-conflict", officer.send(f"{open_one}/preview", 409, choice="disclose").text
    officer.send(f"{open_one}/identity", identity_reason="by telephone")
    officer.send(f"{open_one}/pause", pause_reason="Which of two addresses is meant?")
    preview = officer.send(f"{open_one}/preview", 200, choice="partly:partner", reason="Others prevail.").text
    yield "request-preview", preview
    yield "request", officer.look(open_one)
    yield "today", officer.look("")
    yield "requests", officer.look("/requests")
    button = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', preview.partition("/decision")[2]))
    officer.send(f"{open_one}/decision", **button)
    yield "request-closed", officer.look(open_one)
    yield "requests-closed", officer.look("/requests?show=closed")
    yield "request-new", officer.look("/requests/new")
    yield "registration", officer.look(f"/registrations/{lead['registration_id']}")
    yield "company", officer.look(f"/companies/{lead['company']['domain']}")
    person = officer.leads_to("/search", text=address)
    yield "person", officer.look(person)
    yield "person-erase", officer.look(f"{person}/erase")
    gone = officer.leads_to("/search", text=doomed["contact"]["email"])
    yield "person-erased", officer.send(f"{gone}/erase", 200).text
    yield "nothing-found", officer.send("/search", 404, text="a-very-long-number-of-nothing-that-there-is" * 3).text
    yield "missing", officer.look("/registrations/none", 404)
    yield "suppressions", officer.send("/suppressions", 200, email=doomed["contact"]["email"]).text
    yield "acts", officer.look("/acts")
    yield "ledger", officer.send("/ledger/verify", 200, who=address).text
    yield "officers", officer.look("/officers")


@pytest.fixture(scope="module")
def written(advent: Stack) -> Iterator[Path]:
    """Every page, in two languages, as files beside their stylesheets."""
    with new_folder() as folder:
        for sheet in ("consentflow.css", "console.css"):
            (folder / sheet).write_bytes((FOLDER / "assets" / sheet).read_bytes())
        for language in LANGUAGES:
            lead, doomed = (advent.register("DE") for _ in range(2))
            for each in (lead, doomed):
                advent.settles(each, "awaiting_confirmation")
            with httpx.Client(base_url=advent.info["api"], timeout=60) as client:
                for name, html in console_pages(Officer(client, advent, language), lead, doomed):
                    page = html.replace('"/assets/', '"')
                    (folder / f"{name}.{language}.html").write_text(page, encoding="utf-8")
        yield folder


@pytest.mark.parametrize("name", PAGES)
def test_every_page_can_be_read_by_everybody(inspector: Inspector, written: Path, name: str) -> None:
    found = []
    for language, scheme in (("de", "light"), ("en", "dark")):
        inspector.prefer(scheme)
        inspector.open((written / f"{name}.{language}.html").as_uri(), width=WIDE)
        assert inspector.language == language
        found += [f"{language}, {scheme}: {violation}" for violation in inspector.violations({})]
        for width in (PHONE, ZOOMED):
            inspector.resize(width)
            if inspector.overflow:
                found.append(f"{language} at {width} px is {inspector.overflow} px too wide")
    assert found == []
