"""A lead's way in its own language: from the mail through the pages to the evidence; and programs that follow links."""

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import httpx
import pytest

from consentflow.domain.letters import Language
from consentflow.templates.environment import wording
from tests.acceptance import test_browser
from tests.acceptance.stack import Json, Stack, consentflow, link_in, new_folder, text_of
from tests.acceptance.test_browser import Browser, found_or_skipped
from tests.acceptance.test_stack import settings_of

browser = test_browser.browser


def exported(stack: Stack, address: str, form: str) -> str:
    """What an operator of the stack hands out as the evidence about an address."""
    secret = json.loads((stack.data / "secrets.json").read_text("utf-8"))["secret_key"]
    settings = settings_of(stack) | {"CONSENTFLOW_SECRET_KEY": secret}
    done = consentflow("ledger", "export", address, "--format", form, folder=stack.data, settings=settings)
    assert done.returncode == 0, done.stderr
    return done.stdout


def evidence_about(stack: Stack, request: Json) -> Json:
    document: Json = json.loads(exported(stack, request["contact"]["email"], "json"))
    return document


# ── In every language ────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Words:
    """What the lead reads on its way."""

    language: Language
    subject: str
    question: str
    thanks: str
    withdrawn: str


WORDS = (
    Words(
        Language.GERMAN,
        "Dürfen wir Ihre Kontaktdaten behalten?",
        "Dürfen wir Ihre Kontaktdaten behalten und uns bei Ihnen melden?",
        "Vielen Dank, Ihre Einwilligung ist vermerkt",
        "Ihre Einwilligung ist widerrufen",
    ),
    Words(
        Language.FRENCH,
        "pouvons-nous conserver vos coordonnées ?",
        "Pouvons-nous conserver vos coordonnées et vous contacter ?",
        "Merci, votre consentement est enregistré",
        "Votre consentement est retiré",
    ),
    Words(
        Language.ITALIAN,
        "possiamo conservare i Suoi dati di contatto?",
        "Possiamo conservare i Suoi dati di contatto e contattarLa?",
        "Grazie, abbiamo registrato il Suo consenso",
        "Il Suo consenso è revocato",
    ),
    Words(
        Language.ENGLISH,
        "may we keep your contact data?",
        "May we keep your contact data and contact you?",
        "Thank you, we have recorded your consent",
        "Your consent is withdrawn",
    ),
    Words(
        Language.PORTUGUESE,
        "podemos conservar os seus dados de contacto?",
        "Podemos conservar os seus dados de contacto e entrar em contacto consigo?",
        "Agradecemos, o seu consentimento ficou registado",
        "O seu consentimento foi retirado",
    ),
    Words(
        Language.SPANISH,
        "¿podemos conservar sus datos de contacto?",
        "¿Podemos conservar sus datos de contacto y ponernos en contacto con usted?",
        "Gracias, hemos registrado su consentimiento",
        "Su consentimiento ha quedado retirado",
    ),
)


def on_one_line(text: str) -> str:
    """A text without its line breaks and the spaces that keep words together."""
    return " ".join(text.split())


@dataclass(frozen=True)
class Sight:
    """A page as the lead saw it, and the state of its registration then."""

    language: str
    heading: str
    state: str


class Journey:
    """All the way of one lead, by keyboard, in a browser without scripts."""

    def __init__(self, words: Words, stack: Stack, browser: Browser) -> None:
        self.words = words
        self._stack, self._browser = stack, browser
        self.request = stack.register(
            "DE", contact={"email": f"lea-in-{words.language}@firma.example", "language": words.language}
        )
        self.mail = stack.mail(self.request)
        stack.settles(self.request, "awaiting_confirmation")
        browser.open(link_in(self.mail, "confirm"))
        self.asked = self._sight()
        browser.press_button()
        self.thanked = self._sight()
        self.evidence = evidence_about(stack, self.request)
        browser.open(link_in(self.mail, "preferences"))
        self.choosing = self._sight()
        browser.press_button("button[aria-describedby=withdrawing]")
        self.taken_back = self._sight()

    def _sight(self) -> Sight:
        heading = on_one_line(self._browser.heading)
        return Sight(self._browser.language, heading, self._stack.state(self.request))

    @property
    def record(self) -> Json:
        (receipt,) = self.evidence["receipts"]
        found: Json = receipt["dpv:hasRecordOfActivity"]
        return found

    def entries(self, event: str) -> list[Json]:
        return [entry for entry in self.evidence["entries"] if entry["event"] == event]


@pytest.fixture(scope="module", params=WORDS, ids=lambda words: words.language.value)
def journey(request: pytest.FixtureRequest, skipping: Stack, browser: Browser) -> Journey:
    return Journey(request.param, skipping, browser)


def test_every_language_is_travelled() -> None:
    assert {words.language for words in WORDS} == set(Language)


def test_the_mail_is_in_the_leads_language(journey: Journey) -> None:
    mail, words = journey.mail, journey.words
    assert mail["Content-Language"] == words.language
    assert words.subject in on_one_line(mail["Subject"])
    assert words.question in on_one_line(text_of(mail))
    assert words.question in on_one_line(unescape(text_of(mail, "html")))
    assert f'<html lang="{words.language}">' in text_of(mail, "html")


def test_the_page_asks_in_the_leads_language(journey: Journey) -> None:
    assert journey.asked == Sight(journey.words.language, journey.words.question, "awaiting_confirmation")


def test_the_button_gives_consent_and_is_thanked_for(journey: Journey) -> None:
    assert journey.thanked == Sight(journey.words.language, journey.words.thanks, "confirmed")


def test_the_evidence_holds_the_question_its_wording_and_the_button(journey: Journey) -> None:
    language = journey.words.language
    asked_in = wording(language, "mail/double_opt_in.words.txt", "mail/double_opt_in.txt", "mail/double_opt_in.html")
    (given,), (accepted,) = journey.entries("consent_given"), journey.entries("mail_accepted")
    assert journey.evidence["intact"] is True
    assert given["detail"] == {
        "how": "button",
        "question_id": journey.record["dpv:hasIdentifier"],
        "mail_id": accepted["detail"]["mail_id"],
        "text_version": asked_in,
        "language": language,
    }


def test_the_receipt_says_the_same(journey: Journey) -> None:
    (given,) = journey.entries("consent_given")
    (asked,) = (notice for notice in journey.record["dpv:hasNotice"] if notice["@type"] == ["dpv:ConsentNotice"])
    assert asked["dpv:hasIdentifier"] == f"sha256:{given['detail']['text_version']}"
    assert asked["dct:language"] == journey.record["dct:language"] == journey.words.language
    (process,) = journey.record["dpv:hasProcess"]
    requested, consented = process["dpv:hasConsentStatus"]
    assert requested["@type"] == ["dpv:ConsentRequested"]
    assert (consented["@type"], consented["ledger:entry"]) == (["dpv:ConsentGiven"], given["entry_id"])
    assert "button" in consented["dpv:isExercisedAt"]


def test_opening_the_link_is_on_record_as_a_fetch_and_no_more(journey: Journey) -> None:
    (fetched,), (given,) = journey.entries("link_fetched"), journey.entries("consent_given")
    assert [entry["ledger:entry"] for entry in journey.record["ledger:linkFetched"]] == [fetched["entry_id"]]
    assert fetched["entry_id"] < given["entry_id"]
    assert "how" not in fetched["detail"]


def test_withdrawing_takes_one_press_and_is_confirmed_in_the_leads_language(journey: Journey) -> None:
    assert (journey.choosing.language, journey.choosing.state) == (journey.words.language, "confirmed")
    assert journey.taken_back == Sight(journey.words.language, journey.words.withdrawn, "withdrawn")


# ── Programs that follow links ───────────────────────────────────────────────────────────────────────────────────

PURPOSES = ("confirm", "unsubscribe", "preferences")


@pytest.fixture(scope="module")
def looked_at(skipping: Stack) -> Json:
    """One lead that has its mail, and whose links every scanner follows."""
    request = skipping.register("DE")
    skipping.settles(request, "awaiting_confirmation")
    return request


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {}),
        ("HEAD", {}),
        ("OPTIONS", {}),
        ("GET", {"Purpose": "prefetch"}),
        ("GET", {"X-Purpose": "preview"}),
        ("GET", {"Sec-Purpose": "prefetch"}),
        ("GET", {"Sec-Purpose": "prefetch;prerender"}),
    ],
    ids=str,
)
@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_program_that_follows_a_link_changes_nothing(
    skipping: Stack, looked_at: Json, purpose: str, method: str, headers: dict[str, str]
) -> None:
    before = skipping.registration(looked_at)
    answer = httpx.request(method, link_in(skipping.mail(looked_at), purpose), headers=headers)
    assert answer.status_code == (405 if method == "OPTIONS" else 200)
    assert skipping.registration(looked_at) == before
    assert before["state"] == "awaiting_confirmation"


@pytest.fixture(scope="module")
def profile() -> Iterator[Path]:
    with new_folder() as folder:
        yield folder


def loaded(url: str, profile: Path) -> str:
    """A page's elements after a browser that runs scripts has loaded it, as a scanner with a browser does."""
    return subprocess.run(
        [
            found_or_skipped("chromium", "chromium-browser", "google-chrome"),
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            f"--user-data-dir={profile}",
            "--dump-dom",
            url,
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


def test_the_scanners_browser_runs_scripts(profile: Path) -> None:
    assert "<p>script</p>" in loaded("data:text/html,<script>document.write('<p>script</p>')</script>", profile)


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_scanner_with_a_browser_changes_nothing(
    skipping: Stack, looked_at: Json, profile: Path, purpose: str
) -> None:
    before = skipping.registration(looked_at)
    page = loaded(link_in(skipping.mail(looked_at), purpose), profile)
    assert '<button type="submit"' in page
    assert skipping.registration(looked_at) == before
    assert before["state"] == "awaiting_confirmation"


def test_followed_links_leave_fetches_in_the_evidence_and_nothing_else(skipping: Stack, looked_at: Json) -> None:
    for purpose in PURPOSES:
        assert httpx.get(link_in(skipping.mail(looked_at), purpose)).status_code == 200
    entries = evidence_about(skipping, looked_at)["entries"]
    asked = next(index for index, entry in enumerate(entries) if entry["event"] == "asked")
    assert [entry["event"] for entry in entries[asked + 1 :]] == ["link_fetched"]


# ── One click in the mail program ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "press",
    [
        lambda address: httpx.post(address, data={"List-Unsubscribe": "One-Click"}),
        lambda address: httpx.post(address, files={"List-Unsubscribe": (None, "One-Click")}),
    ],
    ids=["urlencoded", "multipart"],
)
def test_one_click_in_the_mail_program_stops_all_mail(skipping: Stack, press: Callable[[str], httpx.Response]) -> None:
    request = skipping.register("DE")
    mail = skipping.mail(request)
    skipping.settles(request, "awaiting_confirmation")
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    answer = press(str(mail["List-Unsubscribe"]).strip("<>"))
    assert (answer.status_code, dict(answer.cookies)) == (200, {})
    skipping.settles(request, "suppressed")
