"""The preview: every letter and page as files, complete, linked, and the same each time."""

import email
import email.policy
import re
from email.message import EmailMessage
from itertools import product
from pathlib import Path

import pytest
from typer.testing import CliRunner

from consentflow.cli import app
from consentflow.domain.letters import Language
from consentflow.mail.render import KINDS
from consentflow.mail.samples import sample_letters
from consentflow.preview import PAGES, Preview, write_preview
from consentflow.templates.environment import FOLDER

LINK = re.compile(r'\b(?:href|src)="([^"]*)"')


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("preview")


@pytest.fixture(scope="module", autouse=True)
def preview(folder: Path) -> Preview:
    return write_preview(folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_letter_is_there_in_every_language_and_form(folder: Path, preview: Preview) -> None:
    names = {f"{name}.{language}" for language in Language for name in sample_letters(language)}
    written = {path.name for path in (folder / "letters").iterdir()}
    assert written == {f"{name}.{form}" for name, form in product(names, ("eml", "html", "txt"))}
    assert preview.letters == len(names)


def test_no_letter_is_forgotten() -> None:
    for language in Language:
        letters = sample_letters(language).values()
        assert {letter.kind for letter in letters} == set(KINDS)
        assert {letter.language for letter in letters} == {language}


def test_a_mail_holds_the_very_text_and_html_beside_it(folder: Path) -> None:
    for path in (folder / "letters").glob("*.eml"):
        mail = email.message_from_bytes(path.read_bytes(), _class=EmailMessage, policy=email.policy.default)
        for kind, form in (("plain", "txt"), ("html", "html")):
            part = mail.get_body((kind,))
            assert part is not None
            assert part.get_content().splitlines() == path.with_suffix(f".{form}").read_text("utf-8").splitlines()
        name, language = path.stem.split(".")
        one_click = sample_letters(Language(language))[name].one_click
        assert mail["List-Unsubscribe"] == (f"<{one_click}>" if one_click else None)


def test_letters_are_shown_with_and_without_name_and_company(folder: Path) -> None:
    for kind in ("double-opt-in", "notice"):
        named = (folder / "letters" / f"{kind}-named.en.txt").read_text("utf-8")
        nameless = (folder / "letters" / f"{kind}-nameless.en.txt").read_text("utf-8")
        assert "Hello Lea Muster," in named
        assert "Söhne" in named
        assert "Hello,\n" in nameless
        assert "“" not in nameless


def test_every_page_is_there_in_every_language(folder: Path, preview: Preview) -> None:
    names = {f"{page.name}.{language}.html" for page, language in product(PAGES, Language)}
    assert {path.name for path in (folder / "pages").iterdir()} == names | {"consentflow.css"}
    assert preview.pages == len(names)


def test_no_page_for_leads_is_forgotten() -> None:
    """A page that is written in every language belongs in the preview; those for operators and officers do not."""
    sources = {path.name: path.read_text("utf-8") for path in (FOLDER / "pages").glob("*.html")}
    for_leads = {
        name for name, source in sources.items() if '"pages/base.html"' in source and "block languages" not in source
    }
    assert {page.template for page in PAGES} == for_leads


def test_every_link_to_a_file_leads_to_one(folder: Path) -> None:
    for path in (*folder.glob("*.html"), *(folder / "pages").glob("*.html")):
        for link in LINK.findall(path.read_text("utf-8")):
            if not link.startswith(("#", "https://", "mailto:")):
                assert (path.parent / link).is_file(), (path.name, link)


def test_the_index_links_every_file(folder: Path, preview: Preview) -> None:
    linked = set(LINK.findall(preview.start.read_text("utf-8")))
    assert set(contents(folder)) - {"index.html"} <= linked


def test_the_same_code_writes_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    write_preview(tmp_path)
    assert contents(tmp_path) == contents(folder)


def test_the_command_needs_no_settings_and_says_in_one_line_what_it_wrote(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["preview", "out/of/nothing"], env={"CONSENTFLOW_SECRET_KEY": None})
    assert result.exit_code == 0, result.output
    letters = len(sample_letters(Language.ENGLISH)) * len(Language)
    pages = len(PAGES) * len(Language)
    assert result.output == f"Wrote {letters} letters and {pages} pages; begin at out/of/nothing/index.html\n"
    assert contents(tmp_path / "out/of/nothing") == contents(folder)


def test_the_command_refuses_to_write_into_a_file(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("here already")
    assert CliRunner().invoke(app, ["preview", str(tmp_path / "taken")]).exit_code == 2
