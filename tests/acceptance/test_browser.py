"""The pages a lead meets, in a real browser: from the mail, by keyboard alone, without scripts."""

import os
import shutil
from collections.abc import Iterator

import httpx
import pytest
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.acceptance.stack import Json, Stack, link_in, new_folder, until

MOST_TABS = 40
"""More than any page has places to stop at."""


class Browser:
    """What a person does with a page."""

    def __init__(self, driver: Chrome) -> None:
        self._driver = driver

    def open(self, url: str, *, width: int = 1000) -> None:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self._driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self._driver.get(url)

    @property
    def heading(self) -> str:
        return self._read("h1")

    @property
    def text(self) -> str:
        """What the page says, as far as it is to be seen."""
        return self._read("main")

    @property
    def language(self) -> str:
        return str(self._driver.find_element(By.TAG_NAME, "html").get_attribute("lang"))

    @property
    def url(self) -> str:
        return self._driver.current_url

    def press(self, *keys: str) -> None:
        ActionChains(self._driver).send_keys(*keys).perform()

    def tab_to(self, selector: str) -> None:
        """Moves the focus with the Tab key until it is on an element."""
        for _ in range(MOST_TABS):
            self.press(Keys.TAB)
            focused = self._driver.switch_to.active_element
            if focused in self._driver.find_elements(By.CSS_SELECTOR, selector):
                return
        raise AssertionError(f"the Tab key never comes to {selector}")

    def press_button(self, selector: str = "main button[type=submit]") -> None:
        """Comes to the button with Tab and presses it with Enter; waits for the page that follows."""
        before = self.heading
        self.tab_to(selector)
        self.press(Keys.ENTER)
        until("the next page is there", lambda: self.heading != before)

    def click_in_frame(self, part: str) -> str:
        """Clicks a link by a part of its address, inside the page's frame; returns the address."""
        self._driver.switch_to.frame(self._driver.find_element(By.CSS_SELECTOR, "iframe"))
        link = self._driver.find_element(By.CSS_SELECTOR, f"a[href*='{part}']")
        address = str(link.get_attribute("href"))
        link.click()
        self._driver.switch_to.default_content()
        return address

    @property
    def overflow(self) -> int:
        """How many pixels of the page lie beyond the right edge."""
        root = self._driver.find_element(By.TAG_NAME, "html")
        return int(str(root.get_property("scrollWidth"))) - int(str(root.get_property("clientWidth")))

    @property
    def cookies(self) -> list[Json]:
        found: list[Json] = self._driver.get_cookies()
        return found

    def _read(self, tag: str) -> str:
        """The text of an element; between two pages there is none for a moment."""

        def texts() -> list[str]:
            try:
                return [self._driver.find_element(By.TAG_NAME, tag).text]
            except (NoSuchElementException, StaleElementReferenceException):
                return []

        return until(f"there is a {tag}", texts)[0]

    def run_script(self, script: str) -> None:
        """As a page's own script would run: by being part of it."""
        self._driver.get(f"data:text/html,<h1>no script</h1><script>{script}</script>")


def found_or_skipped(*names: str) -> str:
    """The path of the first program that is there."""
    for name in names:
        if path := shutil.which(name):
            return path
    reason = f"there is no {names[0]} on this machine: the pages were not tried in a browser"
    if os.environ.get("CONSENTFLOW_TESTS_MUST_NOT_SKIP"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium that runs no scripts, keeps nothing, and reaches nobody but this machine."""
    options = ChromeOptions()
    options.binary_location = found_or_skipped("chromium", "chromium-browser", "google-chrome")
    service = Service(executable_path=found_or_skipped("chromedriver"))
    with new_folder() as profile:
        for flag in (
            "headless=new",
            "no-sandbox",
            "disable-gpu",
            "disable-quic",
            "disable-dev-shm-usage",
            "no-first-run",
            "disable-background-networking",
            "disable-component-update",
            "disable-sync",
            "host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            f"user-data-dir={profile}",
        ):
            options.add_argument(f"--{flag}")
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
        driver = Chrome(options=options, service=service)
        try:
            yield Browser(driver)
        finally:
            driver.quit()


@pytest.fixture
def asked(real: Stack) -> Json:
    """A German lead that has its mail."""
    request = real.register("DE")
    real.settles(request, "awaiting_confirmation")
    return request


def test_the_browser_runs_no_scripts(browser: Browser) -> None:
    browser.run_script("document.querySelector('h1').textContent = 'script'")
    assert browser.heading == "no script"


def test_a_lead_confirms_with_the_keyboard_alone(browser: Browser, real: Stack, asked: Json) -> None:
    link = link_in(real.mail(asked), "confirm")
    browser.open(link)
    assert "Kontaktdaten" in browser.heading
    assert real.state(asked) == "awaiting_confirmation"
    browser.press_button()
    assert "Vielen Dank" in browser.heading
    assert real.state(asked) == "confirmed"
    assert browser.url == link


def test_opening_the_link_again_thanks_again(browser: Browser, real: Stack, asked: Json) -> None:
    link = link_in(real.mail(asked), "confirm")
    browser.open(link)
    browser.press_button()
    thanks = browser.heading
    browser.open(link)
    assert browser.heading == thanks
    assert real.state(asked) == "confirmed"


def test_a_lead_objects_with_the_keyboard_alone(browser: Browser, real: Stack, asked: Json) -> None:
    link = link_in(real.mail(asked), "unsubscribe")
    browser.open(link)
    assert real.state(asked) == "awaiting_confirmation"
    browser.press_button()
    assert real.state(asked) == "suppressed"
    objected = browser.heading
    browser.open(link)
    assert browser.heading == objected


def test_a_lead_that_has_agreed_withdraws_with_the_keyboard_alone(browser: Browser, real: Stack, asked: Json) -> None:
    mail = real.mail(asked)
    assert httpx.post(link_in(mail, "confirm")).status_code == 200
    browser.open(link_in(mail, "preferences"))
    browser.press_button("form:has([value=withdraw]) button")
    assert real.state(asked) == "withdrawn"


def test_the_first_tab_stop_leads_past_the_header(browser: Browser, real: Stack, asked: Json) -> None:
    browser.open(link_in(real.mail(asked), "confirm"))
    browser.press(Keys.TAB, Keys.ENTER)
    assert browser.url.endswith("#main")
    browser.press(Keys.TAB, Keys.ENTER)
    until("the button was the next stop", lambda: real.state(asked) == "confirmed")


def test_the_reader_changes_the_language_and_keeps_it(browser: Browser, real: Stack, asked: Json) -> None:
    browser.open(link_in(real.mail(asked), "confirm"))
    assert browser.language == "de"
    browser.tab_to("a[hreflang=fr]")
    browser.press(Keys.ENTER)
    until("the page is French", lambda: browser.language == "fr")
    assert real.state(asked) == "awaiting_confirmation"
    browser.press_button()
    assert browser.language == "fr"
    assert real.state(asked) == "confirmed"


def test_a_link_that_cannot_be_used_is_said_kindly(browser: Browser, real: Stack) -> None:
    browser.open(f"{real.info['api']}/confirm/nobody-knows-this-link?language=en")
    assert browser.heading == "This link cannot be used"


def test_a_link_in_the_mailbox_leads_from_the_mail_to_its_page(browser: Browser, real: Stack, asked: Json) -> None:
    listed = real.call("GET", "/dev/mailbox", role=None).text.partition('<a href="/dev/mailbox/')[2].partition('"')[0]
    browser.open(f"{real.info['api']}/dev/mailbox/{listed}")
    link = browser.click_in_frame("/confirm/")
    until("the page is there", lambda: browser.url == link)
    assert "Kontaktdaten" in browser.heading
    assert real.state(asked) == "awaiting_confirmation"


def test_no_page_scrolls_sideways_on_a_narrow_phone(browser: Browser, real: Stack, asked: Json) -> None:
    mail = real.mail(asked)
    listed = real.call("GET", "/dev/mailbox", role=None).text.partition('<a href="/dev/mailbox/')[2].partition('"')[0]
    pages = [link_in(mail, purpose) for purpose in ("unsubscribe", "preferences", "confirm")]
    pages += [f"{real.info['api']}{path}" for path in ("/confirm/none", "/dev/mailbox", f"/dev/mailbox/{listed}")]
    for page in pages:
        for language in ("de", "fr", "it", "en", "pt", "es"):
            browser.open(f"{page}?language={language}", width=380)
            assert (page, language, browser.overflow) == (page, language, 0)
    browser.open(pages[2], width=380)
    browser.press_button()
    assert browser.overflow == 0


def test_the_pages_set_no_cookie(browser: Browser, real: Stack, asked: Json) -> None:
    browser.open(link_in(real.mail(asked), "confirm"))
    browser.press_button()
    assert browser.cookies == []
