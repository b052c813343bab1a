"""Every page, letter and piece of evidence, looked at by axe-core and measured on a phone and at 200 % zoom."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import httpx
import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from consentflow.domain.letters import Language
from consentflow.mail.samples import CONTROLLER, sample_letters
from consentflow.pages.render import PageRenderer
from consentflow.preview import PAGES, write_preview
from tests.acceptance.stack import Json, Stack, link_in, new_folder
from tests.acceptance.test_browser import Browser, found_or_skipped
from tests.acceptance.test_journeys import exported

AXE = Path(__file__).parent / "axe"
INSTALL = "npm install --no-package-lock --no-audit --no-fund --prefix tests/acceptance/axe"

PHONE = 380
WINDOW = 1280
ZOOMED = WINDOW // 2
"""At 200 % zoom a window has half as many CSS pixels, and that is all that a page's layout knows of it."""

LEAD_PAGES = (*(f"pages/{page.name}" for page in PAGES), "pages/preferences-erased")
LETTERS = tuple(f"letters/{name}" for name in sample_letters(Language.ENGLISH))
OTHERS = ("index", "evidence")
"""In English alone."""

# A letter is read inside a mail program, whose page has the landmarks.
NOT_FOR_LETTERS = {rule: {"enabled": False} for rule in ("landmark-one-main", "region")}

VIOLATIONS = """
const [rules, done] = arguments;
axe.run({rules, resultTypes: ["violations"]}).then(
  ({violations}) => done(violations.flatMap(({id, impact, nodes}) =>
    nodes.map(({target, failureSummary}) => `${id} (${impact}) at ${target.join(" ")}: ${failureSummary}`))),
  (error) => done([String(error)]));
"""

CUT_TEXTS = """
const SLACK = 1;
const page = document.documentElement.clientWidth;
const within = (rect, box) => rect.left >= box.left - SLACK && rect.right <= box.right + SLACK;
const isCut = (rect, parent) => {
  if (!within(rect, {left: 0, right: page})) return true;
  let holder = null;
  for (let each = parent; each && each !== document.body; each = each.parentElement) {
    const style = getComputedStyle(each), box = each.getBoundingClientRect();
    if (!holder && style.display !== "inline") {
      holder = each;
      if (!within(rect, box)) return true;
    }
    if (style.overflowX !== "visible" && !within(rect, box)) return true;
    if (style.overflowY !== "visible" && (rect.top < box.top - SLACK || rect.bottom > box.bottom + SLACK)) return true;
  }
  return false;
};
const cut = [];
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const text = texts.currentNode, range = document.createRange();
  range.selectNodeContents(text);
  if (text.data.trim() && [...range.getClientRects()].some((rect) => rect.width && isCut(rect, text.parentElement)))
    cut.push(text.data.trim());
}
return cut;
"""


class Inspector(Browser):
    """A browser that runs scripts, so that axe-core can run in the page."""

    def __init__(self, driver: Chrome, axe: str) -> None:
        super().__init__(driver)
        self._driver = driver
        self._axe = axe

    def prefer(self, scheme: str) -> None:
        """The reader wants this colour scheme: light or dark."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def resize(self, width: int) -> None:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self._driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def violations(self, rules: Json) -> list[str]:
        self._driver.execute_script(self._axe)
        found: list[str] = self._driver.execute_async_script(VIOLATIONS, rules)
        return found

    def cut_texts(self) -> list[str]:
        """The texts of which a part lies beyond the page, or beyond the box that holds or clips it."""
        found: list[str] = self._driver.execute_script(CUT_TEXTS)
        return found


@pytest.fixture(scope="module")
def axe() -> str:
    """The source of axe-core, which npm installs."""
    source = AXE / "node_modules" / "axe-core" / "axe.min.js"
    if source.exists():
        return source.read_text("utf-8")
    reason = f"axe-core is not installed: the pages were not inspected. To install it: {INSTALL}"
    if os.environ.get("CONSENTFLOW_TESTS_MUST_NOT_SKIP"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def inspector(axe: str) -> Iterator[Inspector]:
    """A Chromium that keeps nothing and reaches nobody but this machine."""
    options = ChromeOptions()
    options.binary_location = found_or_skipped("chromium", "chromium-browser", "google-chrome")
    service = Service(executable_path=found_or_skipped("chromedriver"))
    with new_folder() as profile:
        for flag in (
            "headless=new",
            "no-sandbox",
            "disable-gpu",
            "disable-dev-shm-usage",
            "disable-background-networking",
            "host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            f"user-data-dir={profile}",
        ):
            options.add_argument(f"--{flag}")
        driver = Chrome(options=options, service=service)
        try:
            yield Inspector(driver, axe)
        finally:
            driver.quit()


@pytest.fixture(scope="module")
def written(skipping: Stack) -> Iterator[Path]:
    """A folder with all there is to look at."""
    with new_folder() as folder:
        write_preview(folder)
        write_erased(folder / "pages")
        (folder / "evidence.html").write_text(evidence(skipping), encoding="utf-8")
        yield folder


def write_erased(folder: Path) -> None:
    """The choices of somebody whose data went without an objection."""
    renderer = PageRenderer()
    for language in Language:
        page = renderer.render(
            "preferences.html", language, controller=CONTROLLER, action_url="#", standing="erased", done=None
        )
        (folder / f"preferences-erased.{language}.html").write_text(page.replace('"/assets/', '"'), encoding="utf-8")


def evidence(stack: Stack) -> str:
    """The page of somebody who looked, agreed and withdrew."""
    request = stack.register("DE")
    mail = stack.mail(request)
    stack.settles(request, "awaiting_confirmation")
    for answer in (
        httpx.get(link_in(mail, "confirm")),
        httpx.post(link_in(mail, "confirm")),
        httpx.post(link_in(mail, "preferences"), data={"choice": "withdraw"}),
    ):
        assert answer.status_code == 200
    page = exported(stack, request["contact"]["email"], "html")
    assert "Consent withdrawn" in page
    return page


def files(written: Path, name: str) -> Iterable[Path]:
    """What is called so, in each of its languages."""
    if name in OTHERS:
        return [written / f"{name}.html"]
    return [written / f"{name}.{language}.html" for language in Language]


EVERYTHING = pytest.mark.parametrize("name", LEAD_PAGES + LETTERS + OTHERS)


@EVERYTHING
def test_axe_finds_nothing_wrong(inspector: Inspector, written: Path, name: str) -> None:
    rules = NOT_FOR_LETTERS if name in LETTERS else {}
    inspector.prefer("light")
    found = []
    for file in files(written, name):
        inspector.open(file.as_uri())
        found += [f"{file.name}: {violation}" for violation in inspector.violations(rules)]
    assert found == []


@pytest.mark.parametrize("name", LEAD_PAGES + LETTERS)
def test_the_colours_for_the_dark_can_be_told_apart(inspector: Inspector, written: Path, name: str) -> None:
    inspector.prefer("dark")
    inspector.open((written / f"{name}.{Language.GERMAN}.html").as_uri())
    assert inspector.violations(NOT_FOR_LETTERS if name in LETTERS else {}) == []


@EVERYTHING
def test_nothing_scrolls_sideways_and_no_text_is_cut(inspector: Inspector, written: Path, name: str) -> None:
    found = []
    for file in files(written, name):
        inspector.open(file.as_uri())
        for width in (PHONE, ZOOMED):
            inspector.resize(width)
            found += [f"{file.name} at {width} px: {text}" for text in inspector.cut_texts()]
            if inspector.overflow:
                found.append(f"{file.name} at {width} px is {inspector.overflow} px too wide")
    assert found == []


def test_what_is_wrong_would_be_found(inspector: Inspector) -> None:
    inspector.open(
        "data:text/html,<img src=x><p style='width:9em;overflow:hidden;white-space:nowrap'>"
        "Far too much text for so little room</p><p>Enough room</p><hr style='width:999px'>",
        width=PHONE,
    )
    rules = {violation.split()[0] for violation in inspector.violations({})}
    assert {"html-has-lang", "image-alt"} <= rules
    assert inspector.cut_texts() == ["Far too much text for so little room"]
    assert inspector.overflow > 0
