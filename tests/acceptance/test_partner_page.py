"""The page of a partner's people as they meet it: from the mailed link to the notification, in a real browser."""

import json
import re
import shutil
from collections.abc import Iterator
from datetime import datetime
from email.message import EmailMessage
from html import unescape
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from selenium.webdriver.common.keys import Keys

from consentflow.templates.environment import FOLDER
from tests.acceptance.stack import Json, Stack, link_in, new_folder, text_of, until
from tests.acceptance.test_accessibility import PHONE, ZOOMED, Inspector
from tests.acceptance.test_browser import Browser

WIDE = 1200
STATES = (
    "choose",
    "companies",
    "companies-found",
    "companies-none",
    "credits",
    "credits-none",
    "ended",
    "left",
    "leaving",
    "not-found",
    "notifications",
    "notifications-incomplete",
    "notifications-none",
    "notifications-paused",
    "refused",
)
LANGUAGES = ("de", "pt", "fr")
_NUMBER = count(1)


def mails_to(stack: Stack, address: str) -> list[EmailMessage]:
    return [mail for mail in stack.mails() if address in str(mail["To"])]


def known_mails(stack: Stack, address: str) -> set[str]:
    return {str(mail["Message-ID"]) for mail in mails_to(stack, address)}


def newest_mail(stack: Stack, address: str, known: set[str]) -> EmailMessage:
    """Waits for a mail besides those that are known."""

    def new() -> list[EmailMessage]:
        return [mail for mail in mails_to(stack, address) if mail["Message-ID"] not in known]

    (mail,) = until(f"{address} is mailed", new)
    return mail


def does(stack: Stack, action: str, domain: str, **data: object) -> None:
    """A company does something on the vendor's site."""
    event = {
        "specversion": "1.0",
        "id": f"c-{next(_NUMBER)}",
        "source": "site",
        "type": f"company.{action}",
        "data": {"domain": domain, **data},
    }
    headers = {"Content-Type": "application/cloudevents+json"}
    answer = stack.call("POST", "/v1/events", role="tracker", content=json.dumps(event), headers=headers)
    assert answer.json() == {"accepted": 1, "duplicate": 0, "unmatched": 0}


def partner_with_a_lead(stack: Stack, **more: object) -> tuple[str, Json]:
    """One of a partner's people, who has registered a lead; its address and the registration."""
    address = f"ana-{next(_NUMBER)}@partner.example"
    return address, stack.register("US", registered_by=address, **more)


def ask_for_a_link(browser: Browser, stack: Stack, address: str, language: str) -> str:
    """Goes to the page and asks, by keyboard; returns the link in the mail that comes."""
    known = known_mails(stack, address)
    browser.open(f"{stack.info['api']}/partner?language={language}")
    assert urlsplit(browser.url).path == "/partner/sign-in"
    browser.tab_to("#email")
    browser.press(address)
    browser.press_button()
    return link_in(newest_mail(stack, address, known), "sign-in")


@pytest.mark.parametrize(
    ("language", "headings", "told"),
    [
        (
            "de",
            ["Auf der Partnerseite anmelden", "Ihre Unternehmen", "Ihre Benachrichtigungen"],
            "Testzugang angefragt",
        ),
        (
            "pt",
            ["Iniciar sessão na página de parceiros", "As suas empresas", "As suas notificações"],
            "Período experimental pedido",
        ),
    ],
)
def test_from_the_mailed_link_to_the_notification(
    browser: Browser, skipping: Stack, language: str, headings: list[str], told: str
) -> None:
    address, lead = partner_with_a_lead(skipping)
    domain = lead["company"]["domain"]
    signing_in, companies, notifications = headings

    browser.open(ask_for_a_link(browser, skipping, address, language))
    assert browser.heading == signing_in
    browser.press_button()
    assert browser.heading == companies
    assert browser.language == language

    browser.open(f"{skipping.info['api']}/partner?language={language}")
    browser.tab_to("nav a[href*=notifications]")
    browser.press(Keys.ENTER)
    until("the page of notifications is there", lambda: browser.heading == notifications)
    browser.tab_to("#all")
    browser.press(Keys.DOWN)  # only what is chosen
    for action in ("trial_requested", "pricing_viewed"):
        browser.tab_to(f"#{action}")
        browser.press(Keys.SPACE)
    browser.tab_to("#daily")
    browser.tab_to("#hour")
    browser.press("18")
    browser.tab_to("form.settings button")
    browser.press(Keys.ENTER)
    until("it is saved", lambda: "done=saved" in browser.url)
    subscriber = skipping.call("GET", f"/v1/partners/{lead['partner_id']}/subscribers/{address}").json()
    assert subscriber["state"] == "active"
    assert subscriber["actions"] == ["trial_requested", "pricing_viewed"]
    assert (subscriber["delivery"], subscriber["hour"]) == ("daily", 18)

    known = known_mails(skipping, address)
    for action in ("trial_requested", "pricing_viewed", "content_viewed"):
        does(skipping, action, domain)
    skipping.advance("P1D")
    mail = newest_mail(skipping, address, known)
    letter = text_of(mail)
    assert told in f"{mail['Subject']} {letter}"
    assert domain in letter
    assert lead["contact"]["email"] not in mail.as_string()
    assert lead["contact"]["given_name"] not in letter

    browser.open(f"{skipping.info['api']}/partner?language={language}")
    assert urlsplit(browser.url).path == "/partner/sign-in"  # a day later the session has ended


def test_signing_out_leads_back_to_the_form(browser: Browser, real: Stack) -> None:
    address, _ = partner_with_a_lead(real)
    browser.open(ask_for_a_link(browser, real, address, "en"))
    browser.press_button()
    assert browser.heading == "Your companies"
    (cookie,) = browser.cookies
    assert (cookie["name"], cookie["path"]) == ("consentflow-partner", "/partner")
    assert cookie["httpOnly"]
    browser.press_button("form[action*='/sign-out'] button")
    assert browser.heading == "Sign in to the partner page"
    assert browser.cookies == []


def test_an_address_nobody_knows_gets_the_same_answer_and_no_mail(browser: Browser, real: Stack) -> None:
    known, _ = partner_with_a_lead(real)
    ask_for_a_link(browser, real, known, "en")
    answered = browser.heading
    browser.open(f"{real.info['api']}/partner/sign-in?language=en")
    browser.tab_to("#email")
    browser.press("nobody-here@nowhere.example")
    browser.press_button()
    assert browser.heading == answered
    until("it was answered", lambda: real.call("GET", "/readyz", role=None).status_code == 200)
    assert mails_to(real, "nobody-here@nowhere.example") == []


class Visitor:
    """One of a partner's people at a program that keeps what it sees."""

    def __init__(self, stack: Stack, address: str) -> None:
        self.client = httpx.Client(base_url=stack.info["api"], timeout=60)
        known = known_mails(stack, address)
        assert self.client.post("/partner/sign-in", data={"email": address}).status_code == 200
        link = link_in(newest_mail(stack, address, known), "sign-in")
        assert self.client.post(link).status_code == 303

    def page(self, path: str = "", **query: str) -> httpx.Response:
        return self.client.get(f"/partner{path}", params=query)

    def send(self, path: str, **form: object) -> httpx.Response:
        found = re.search(r'name="csrf" value="(\w+)"', self.client.get("/partner").text)
        assert found
        language = str(form.pop("language", "de"))
        return self.client.post(f"/partner{path}", params={"language": language}, data={"csrf": found[1], **form})


def test_nothing_a_partner_gets_says_who_it_was_or_to_the_second_when(skipping: Stack) -> None:
    address, lead = partner_with_a_lead(
        skipping, contact={"email": "zqmark@zq-firma.example", "given_name": "Zqgiven", "family_name": "Zqfamily"}
    )
    partner, domain = lead["partner_id"], lead["company"]["domain"]
    ana = Visitor(skipping, address)
    ana.send("/notifications", extent="all", delivery="immediate", hour="8", weekday="0", mails="")
    known = known_mails(skipping, address)
    happened = datetime.fromisoformat(skipping.call("POST", "/dev/clock", json={"advance": "PT7S"}).json()["now"])
    for action in ("trial_requested", "pricing_viewed", "content_downloaded"):
        does(
            skipping,
            action,
            domain,
            email=lead["contact"]["email"],
            occurred_at=happened.isoformat(),
            name="Zqgiven Zqfamily",
            visitor_id="zq-visitor",
            page="https://vendor.example/pricing?utm_campaign=zq-campaign",
            ip="203.0.113.77",
        )
    skipping.advance("PT16M")
    mail = newest_mail(skipping, address, known)
    parts = [str(part.get_content()) for part in mail.walk() if part.get_content_maintype() == "text"]
    api = [
        skipping.call("GET", f"/v1/partners/{partner}{path}").text
        for path in ("", "/subscribers", f"/subscribers/{address}", "/companies", "/credits", "/credits.csv")
    ]
    pages = [ana.page(path).text for path in ("", "/notifications", "/credits", "/leave")]
    assert all(domain in text for text in (*parts, api[3], pages[0]))
    for text in (*map(str, mail.values()), *parts, *api, *pages):
        assert not re.search(r"zq-?(mark|firma|given|family|visitor|campaign)|utm_|203\.0\.113", text, re.IGNORECASE)
        assert f"{happened:%H:%M:%S}" not in text
    for text in (*parts, *pages):
        assert not re.search(r"\b\d\d:\d\d:\d\d\b", text)
    ana.client.close()


@pytest.fixture(scope="module")
def written(skipping: Stack) -> Iterator[Path]:
    """Every state of every page, in several languages, as files beside the stylesheet."""
    address, lead = partner_with_a_lead(skipping)
    partner = {"partner_id": lead["partner_id"]}
    active = lead["company"]["domain"]
    name = "Donaudampfschifffahrtsgesellschaftskapitänswitwenverein & Söhne GmbH"
    partner_with_a_lead(
        skipping,
        **partner,
        company={"name": name, "domain": "a-very-long-domain-name-of-a-company-in-the-north-of-the-country.example"},
    )
    stranger, other = partner_with_a_lead(skipping)
    both, _ = partner_with_a_lead(skipping, **partner)
    skipping.call(
        "POST",
        "/v1/registrations",
        role="registrar",
        json=other | {"registration_id": f"b-{next(_NUMBER)}", "registered_by": both},
    )
    for action in ("trial_requested", "pricing_viewed", "pricing_viewed", "content_downloaded"):
        does(skipping, action, active)
    does(skipping, "purchased", active, amount="1250.50", currency="EUR")
    does(skipping, "purchased", active, amount="99999.00", currency="CHF")
    settings = {"extent": "all", "delivery": "daily", "hour": "8", "weekday": "0", "mails": ""}
    with new_folder() as folder:
        shutil.copy(FOLDER / "assets" / "consentflow.css", folder)
        for language in LANGUAGES:
            ana, eva, two = Visitor(skipping, address), Visitor(skipping, stranger), Visitor(skipping, both)
            seen: dict[str, httpx.Response] = {
                "companies": ana.page(language=language),
                "companies-found": ana.page(language=language, find="donau"),
                "companies-none": ana.page(language=language, find="nothing like that"),
                "credits": ana.page("/credits", language=language),
                "credits-none": eva.page("/credits", language=language),
                "choose": two.page(language=language),
                "not-found": ana.page(language=language, partner="p-0"),
                "notifications-none": ana.page("/notifications", language=language),
                "notifications-incomplete": ana.send(
                    "/notifications", language=language, **(settings | {"extent": "some"})
                ),
                "refused": ana.client.post("/partner/pause", params={"language": language}),
            }
            ana.send("/notifications", language=language, **settings)
            does(skipping, "demo_requested", active)
            seen["notifications"] = ana.page("/notifications", language=language, done="saved")
            ana.send("/pause")
            seen["notifications-paused"] = ana.page("/notifications", language=language, done="paused")
            seen["leaving"] = ana.page("/leave", language=language)
            seen["left"] = ana.send("/leave", language=language)
            ana.send("/sign-out-everywhere")
            ana.client.cookies.set("consentflow-partner", "of-a-session-that-has-ended", path="/partner")
            seen["ended"] = ana.client.post("/partner/pause", params={"language": language})
            for visitor in (ana, eva, two):
                visitor.client.close()
            assert set(seen) == set(STATES)
            for state, answer in seen.items():
                assert "<h1>" in answer.text, state
                assert f'lang="{language}"' in answer.text, state
                (folder / f"{state}.{language}.html").write_text(unlinked(answer.text), encoding="utf-8")
        yield folder


def unlinked(html: str) -> str:
    """The page with the stylesheet beside it."""
    return html.replace('"/assets/', '"')


STATE = pytest.mark.parametrize("state", STATES)


@STATE
def test_axe_finds_nothing_wrong(inspector: Inspector, written: Path, state: str) -> None:
    found = []
    for scheme, language in (*(("light", language) for language in LANGUAGES), ("dark", "de")):
        inspector.prefer(scheme)
        inspector.open((written / f"{state}.{language}.html").as_uri())
        found += [f"{language} {scheme}: {violation}" for violation in inspector.violations({})]
    assert found == []


@STATE
def test_nothing_scrolls_sideways_and_no_text_is_cut(inspector: Inspector, written: Path, state: str) -> None:
    found = []
    for language in LANGUAGES:
        inspector.open((written / f"{state}.{language}.html").as_uri())
        for width in (PHONE, ZOOMED, WIDE):
            inspector.resize(width)
            found += [f"{language} at {width} px: {text}" for text in inspector.cut_texts()]
            if inspector.overflow:
                found.append(f"{language} at {width} px is {inspector.overflow} px too wide")
    assert found == []


@STATE
def test_no_state_names_a_lead(written: Path, state: str) -> None:
    for file in written.glob(f"{state}.*.html"):
        assert not re.search(r"\blea-|\bLea\b|\bMuster\b", unescape(file.read_text("utf-8")))
