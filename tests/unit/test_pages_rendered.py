"""Every page for leads in every language: one heading, no script, usable by keyboard and on a phone."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import product
from types import MappingProxyType

import pytest
from jinja2 import TemplateNotFound, UndefinedError

from consentflow.domain.letters import Controller, Language
from consentflow.pages.render import PageRenderer
from consentflow.templates.environment import FOLDER

RENDERER = PageRenderer()
FORMS = ("confirm.html", "unsubscribe.html", "subscription.html", "subscription_leave.html")
FOR_SUBSCRIBERS: dict[str, dict[str, object]] = {
    "subscription.html": {"partner": "Partner GmbH"},
    "subscription_confirmed.html": {"partner": "Partner GmbH", "partner_page": "/partner"},
    "subscription_leave.html": {"partner": "Partner GmbH"},
    "subscription_left.html": {},
}
"""What pages for subscribers are told besides."""
PREFERENCES: dict[str, tuple[str, str | None]] = {
    "preferences.html: consented": ("consented", None),
    "preferences.html: held": ("held", None),
    "preferences.html: stopped": ("stopped", None),
    "preferences.html: language saved": ("held", "language"),
    "preferences.html: withdrawn": ("held", "withdrawn"),
    "preferences.html: objected": ("stopped", "objected"),
}
"""The page of choices: by where the lead stands, and by what it has just done."""
TEMPLATES = tuple(
    dict.fromkeys((*FORMS, *FOR_SUBSCRIBERS, "confirmed.html", "unsubscribed.html", "link_unusable.html", *PREFERENCES))
)
PAGES = pytest.mark.parametrize(("template", "language"), list(product(TEMPLATES, Language)))
LANGUAGES = pytest.mark.parametrize("language", list(Language))
OWN_NAMES = ["Deutsch", "Français", "Italiano", "English", "Português", "Español"]
LEAST_CONTRAST = 4.5  # WCAG 2.2, 1.4.3, level AA

CONTROLLER = Controller(
    name="Nordlicht Software GmbH",
    address="Musterstraße 12, 10115 Berlin",
    email="contact@nordlicht.example",
    dpo_email="dpo@nordlicht.example",
    privacy_policy_url="https://nordlicht.example/privacy",
    privacy_policy_version="2026-10",
    supervisory_authority="Berliner Beauftragte für Datenschutz",
)


class Element:
    def __init__(self, tag: str, attributes: dict[str, str | None], inside: tuple[str, ...]) -> None:
        self.tag = tag
        self.attributes = attributes
        self.inside = inside
        self.text = ""


class Page(HTMLParser):
    """The elements of a page, in order, each with the text and the tags it is in."""

    VOID = frozenset({"meta", "link", "input", "br"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(html)
        self.close()
        assert not self._open, "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs), tuple(around.tag for around in self._open))
        self.elements.append(element)
        if tag not in self.VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def all(self, tag: str) -> list[Element]:
        return [element for element in self.elements if element.tag == tag]

    def only(self, tag: str) -> Element:
        (element,) = self.all(tag)
        return element


def context_of(template: str) -> dict[str, object]:
    context: dict[str, object] = {"controller": CONTROLLER}
    context |= FOR_SUBSCRIBERS.get(template, {})
    if template in FORMS:
        context["action_url"] = "/confirm/c1"
    if template in PREFERENCES:
        standing, done = PREFERENCES[template]
        context |= {"action_url": "/preferences/p1", "standing": standing, "done": done}
    return context


def html_of(template: str, language: Language, **changes: object) -> str:
    return RENDERER.render(template.partition(":")[0], language, **(context_of(template) | changes))


def page_of(template: str, language: Language, **changes: object) -> Page:
    return Page(html_of(template, language, **changes))


@PAGES
def test_page_has_one_heading_that_is_its_title_too(template: str, language: Language) -> None:
    page = page_of(template, language)
    heading = page.only("h1").text
    assert heading.strip()
    assert page.only("title").text == f"{heading} \u2013 {CONTROLLER.name}"


@PAGES
def test_page_tells_its_language_and_fits_a_phone(template: str, language: Language) -> None:
    page = page_of(template, language)
    assert page.only("html").attributes["lang"] == language
    metas = {element.attributes.get("name"): element.attributes.get("content") for element in page.all("meta")}
    assert metas["viewport"] == "width=device-width, initial-scale=1"
    assert metas["color-scheme"] == "light dark"
    assert metas["referrer"] == "no-referrer"
    assert "noindex" in str(metas["robots"])


@PAGES
def test_page_needs_no_script_no_inline_style_and_nothing_from_elsewhere(template: str, language: Language) -> None:
    page = page_of(template, language)
    assert not {"script", "style", "img", "iframe"} & {element.tag for element in page.elements}
    for element in page.elements:
        assert "style" not in element.attributes
        assert "src" not in element.attributes
        assert not [name for name in element.attributes if name.startswith("on")]
    assert page.only("link").attributes == {"rel": "stylesheet", "href": "/assets/consentflow.css"}


@PAGES
def test_page_links_to_nothing_but_policy_addresses_and_itself(template: str, language: Language) -> None:
    links = {element.attributes["href"] for element in page_of(template, language).all("a")}
    own = {"#main", *(f"?language={other}" for other in Language)}
    mail = {f"mailto:{CONTROLLER.email}", f"mailto:{CONTROLLER.dpo_email}"}
    further = {"/partner"} if template == "subscription_confirmed.html" else set()
    assert links == own | mail | {CONTROLLER.privacy_policy_url} | further


@PAGES
def test_page_can_be_read_in_every_language(template: str, language: Language) -> None:
    switch = [element for element in page_of(template, language).all("a") if "nav" in element.inside]
    assert [element.text for element in switch] == OWN_NAMES
    assert [element.attributes["lang"] for element in switch] == list(Language)
    assert [element.attributes["hreflang"] for element in switch if "aria-current" in element.attributes] == [language]


@PAGES
def test_page_can_be_walked_by_keyboard_and_screen_reader(template: str, language: Language) -> None:
    page = page_of(template, language)
    assert page.all("a")[0].attributes["href"] == "#main"
    assert page.only("main").attributes["id"] == "main"
    assert page.only("nav").attributes["aria-label"]
    assert {element.tag for element in page.elements} >= {"header", "nav", "main", "footer"}
    for element in page.elements:
        assert int(element.attributes.get("tabindex") or 0) <= 0
    for element in page.all("input"):
        assert element.attributes["type"] == "hidden", "a field that is seen needs a label"
    ids = [element.attributes["id"] for element in page.elements if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    assert {element.attributes["aria-describedby"] for element in page.all("button")} <= set(ids)
    labels = {element.attributes["for"] for element in page.all("label") if element.text.strip()}
    assert labels == {element.attributes["id"] for element in page.all("select")}


@PAGES
def test_page_says_who_is_responsible(template: str, language: Language) -> None:
    footer = page_of(template, language).only("footer").text
    for value in (
        CONTROLLER.name,
        CONTROLLER.address,
        CONTROLLER.email,
        CONTROLLER.dpo_email,
        CONTROLLER.privacy_policy_version,
    ):
        assert value in footer


@PAGES
def test_only_a_question_has_a_form_and_it_posts(template: str, language: Language) -> None:
    page = page_of(template, language)
    if template in PREFERENCES:
        return  # has tests of its own, below
    if template not in FORMS:
        assert not {"form", "button", "input"} & {element.tag for element in page.elements}
        return
    form, button = page.only("form"), page.only("button")
    assert form.attributes == {"method": "post", "action": "/confirm/c1"}
    assert button.attributes["type"] == "submit"
    assert "form" in button.inside
    assert button.text.strip()
    field = page.only("input").attributes
    assert (field["name"], field["value"]) == ("language", language)


@LANGUAGES
@pytest.mark.parametrize("template", ["confirm.html", "confirmed.html"])
def test_saying_no_is_one_link_away(template: str, language: Language) -> None:
    page = page_of(template, language, unsubscribe_url="/unsubscribe/u1")
    (link,) = [element for element in page.all("a") if element.attributes["href"] == "/unsubscribe/u1"]
    assert "main" in link.inside
    assert link.text.strip()


@LANGUAGES
def test_confirm_page_names_who_asks(language: Language) -> None:
    assert CONTROLLER.name in page_of("confirm.html", language).only("main").text


@LANGUAGES
def test_an_unusable_link_reveals_nothing_and_helps_on(language: Language) -> None:
    main = page_of("link_unusable.html", language).only("main").text
    assert CONTROLLER.email in main
    assert CONTROLLER.dpo_email in main


@PAGES
def test_values_are_escaped(template: str, language: Language) -> None:
    hostile = "<script>{{ 7*7 }}%(x)s"
    html = html_of(
        template,
        language,
        controller=replace(CONTROLLER, name=hostile, address=hostile, email='"><b>', dpo_email="a&b@c.example"),
        partner=hostile,
    )
    assert "<script" not in html
    assert "<b>" not in html
    assert "49" not in html
    assert "&lt;script&gt;{{ 7*7 }}%(x)s" in html
    assert "a&b@" not in html


@PAGES
def test_a_missing_value_is_an_error_not_a_hole(template: str, language: Language) -> None:
    for missing in context_of(template):
        if missing == "action_url" and not page_of(template, language).all("form"):
            continue
        context = {name: value for name, value in context_of(template).items() if name != missing}
        with pytest.raises(UndefinedError):
            RENDERER.render(template.partition(":")[0], language, **context)


class TestPreferences:
    """The page where a lead sees what holds and changes it."""

    CHOICES = MappingProxyType(
        {
            "preferences.html: consented": ["language", "withdraw", "object"],
            "preferences.html: held": ["language", "object"],
            "preferences.html: stopped": [],
            "preferences.html: language saved": ["language", "object"],
            "preferences.html: withdrawn": ["object"],
            "preferences.html: objected": [],
        }
    )
    STATES = pytest.mark.parametrize(("state", "language"), list(product(PREFERENCES, Language)))

    @STATES
    def test_offers_what_can_still_be_chosen_and_nothing_else(self, state: str, language: Language) -> None:
        page = page_of(state, language)
        chosen = [field.attributes["value"] for field in page.all("input") if field.attributes["name"] == "choice"]
        assert chosen == self.CHOICES[state]
        assert len(page.all("button")) == len(page.all("form")) == len(chosen)

    @STATES
    def test_every_choice_is_one_button_that_posts_and_keeps_the_language(self, state: str, language: Language) -> None:
        page = page_of(state, language)
        for form in page.all("form"):
            assert {"method": "post", "action": "/preferences/p1"}.items() <= form.attributes.items()
        for button in page.all("button"):
            assert button.attributes["type"] == "submit"
            assert "form" in button.inside
        kept = [field.attributes["value"] for field in page.all("input") if field.attributes["name"] == "language"]
        assert kept == [language] * len(set(self.CHOICES[state]) - {"language"})
        assert {select.attributes["name"] for select in page.all("select")} <= {"language"}

    @LANGUAGES
    def test_buttons_tell_themselves_apart_and_none_is_pushed(self, language: Language) -> None:
        buttons = page_of("preferences.html: consented", language).all("button")
        assert len({button.text.strip() for button in buttons}) == 3
        assert [button.attributes["class"] for button in buttons] == ["quiet", "quiet", "quiet stop"]

    @LANGUAGES
    def test_the_select_holds_every_language_by_its_own_name(self, language: Language) -> None:
        options = page_of("preferences.html: held", language).all("option")
        assert [option.text for option in options] == OWN_NAMES
        assert [option.attributes["value"] for option in options] == list(Language)
        assert [option.attributes["lang"] for option in options] == list(Language)
        assert [option.attributes["value"] for option in options if "selected" in option.attributes] == [language]

    def test_the_language_we_write_in_need_not_be_that_of_the_page(self) -> None:
        page = page_of("preferences.html: held", Language.GERMAN, mail_language=Language.FRENCH)
        (selected,) = [option for option in page.all("option") if "selected" in option.attributes]
        assert selected.attributes["value"] == "fr"

    @STATES
    def test_says_what_happened_and_only_then(self, state: str, language: Language) -> None:
        statuses = [element for element in page_of(state, language).elements if "role" in element.attributes]
        assert [status.attributes["role"] for status in statuses] == ["status"] * (PREFERENCES[state][1] is not None)
        assert all(status.text.strip() for status in statuses)

    @LANGUAGES
    def test_every_state_reads_differently_and_names_the_controller(self, language: Language) -> None:
        mains = [page_of(state, language).only("main") for state in PREFERENCES]
        assert len({main.text for main in mains}) == len(PREFERENCES)
        assert all(CONTROLLER.name in main.text for main in mains)

    @LANGUAGES
    def test_after_withdrawing_it_never_says_that_data_is_held(self, language: Language) -> None:
        held = page_of("preferences.html: held", language).all("p")
        (claim,) = [
            paragraph.text
            for paragraph in held
            if f"{CONTROLLER.name}," in paragraph.text and "main" in paragraph.inside
        ]
        assert claim not in page_of("preferences.html: withdrawn", language).only("main").text

    @LANGUAGES
    def test_withdrawing_and_objecting_name_the_law_and_what_follows(self, language: Language) -> None:
        page = page_of("preferences.html: consented", language)
        texts = {element.attributes.get("id"): element.text for element in page.all("p")}
        assert re.search(r"\b7\b", texts["withdrawing"])
        assert re.search(r"\b21\b", texts["objecting"])
        for button, described in zip(page.all("button"), ("about", "withdrawing", "objecting"), strict=True):
            assert button.attributes["aria-describedby"] == described


def test_an_unknown_page_is_an_error() -> None:
    with pytest.raises(TemplateNotFound):
        RENDERER.render("nowhere.html", Language.ENGLISH)


class TestStylesheet:
    CSS = (FOLDER / "assets" / "consentflow.css").read_text(encoding="utf-8")
    PAIRS = (
        ("ink", "sheet"),
        ("strong", "ground"),
        ("strong", "sheet"),
        ("soft", "ground"),
        ("soft", "sheet"),
        ("accent", "sheet"),
        ("accent-hover", "sheet"),
        ("on-accent", "accent"),
        ("on-accent", "accent-hover"),
        ("focus", "sheet"),
        ("focus", "ground"),
        ("accent", "ground"),
        ("stop", "sheet"),
        ("stop", "ground"),
    )

    def test_fetches_nothing(self) -> None:
        assert "url(" not in self.CSS
        assert "@import" not in self.CSS

    def test_cares_for_dark_rooms_small_screens_calm_eyes_and_keyboards(self) -> None:
        for rule in (
            "prefers-color-scheme: dark",
            "max-width: 30rem",
            "prefers-reduced-motion",
            ":focus-visible",
        ):
            assert rule in self.CSS

    def test_is_readable_in_light_and_dark(self) -> None:
        light, dark = re.findall(r":root \{(.*?)\}", self.CSS, re.DOTALL)
        for scheme in (light, dark):
            colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", scheme))
            for ink, paper in self.PAIRS:
                assert contrast(colours[ink], colours[paper]) >= LEAST_CONTRAST, (ink, paper)


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours as WCAG 2.2 defines it."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    channels = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    red, green, blue = (
        channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4 for channel in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
