"""Every letter and every page for leads, in every language, as files to look at: no settings, database or network.

For whoever looks after the wording. Templates, renderers and freezing are those of the service; only what is filled
in is made up, so that the same code always writes the same files.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from consentflow.domain.letters import Controller, Language, LeadLetter, LeadLinks, LetterKind, Recipient
from consentflow.mail.message import Sender, freeze
from consentflow.mail.render import LetterRenderer
from consentflow.pages.render import PageRenderer
from consentflow.templates.environment import FOLDER

CONTROLLER = Controller(
    name="Musterwerk Software AG",
    address="Lindenweg 12, 10115 Berlin",
    email="hello@musterwerk.example",
    dpo_email="privacy@musterwerk.example",
    privacy_policy_url="https://musterwerk.example/privacy",
    privacy_policy_version="2026-11",
    supervisory_authority="Berliner Beauftragte für Datenschutz und Informationsfreiheit",
)
SENDER = Sender(
    name=CONTROLLER.name,
    address="privacy@musterwerk.example",
    reply_to=CONTROLLER.email,
    bounce_domain=None,
    message_id_domain="musterwerk.example",
)
WRITTEN_AT = datetime(2026, 11, 2, 9, tzinfo=UTC)
LINKS = LeadLinks(
    unsubscribe="https://consent.musterwerk.example/unsubscribe/Zm9yLXRoZS1wcmV2aWV3IQ",
    preferences="https://consent.musterwerk.example/preferences/Zm9yLXRoZS1wcmV2aWV3IQ",
    confirm="https://consent.musterwerk.example/confirm/Zm9yLXRoZS1wcmV2aWV3IQ",
)

READERS = {
    "named": (Recipient("lea.muster@firma.example", "Lea", "Muster"), "Firma & Söhne GmbH"),
    "nameless": (Recipient("info@firma.example", None, None), None),
}


class Shown(NamedTuple):
    """A page in one of its states, as the service fills it."""

    name: str
    template: str
    standing: str | None = None
    done: str | None = None


PAGES = (
    Shown("confirm", "confirm.html"),
    Shown("confirmed", "confirmed.html"),
    Shown("unsubscribe", "unsubscribe.html"),
    Shown("unsubscribed", "unsubscribed.html"),
    Shown("preferences-consented", "preferences.html", "consented"),
    Shown("preferences-held", "preferences.html", "held"),
    Shown("preferences-stopped", "preferences.html", "stopped"),
    Shown("preferences-language-saved", "preferences.html", "consented", "language"),
    Shown("preferences-withdrawn", "preferences.html", "held", "withdrawn"),
    Shown("preferences-objected", "preferences.html", "stopped", "objected"),
    Shown("link-unusable", "link_unusable.html"),
)


class File(NamedTuple):
    """A file of the preview. ``name`` says what it shows, whatever the language and form."""

    name: str
    language: Language
    form: str
    content: bytes


class Preview(NamedTuple):
    """How much was written, and where to begin."""

    letters: int
    pages: int
    start: Path


def write_preview(folder: Path) -> Preview:
    """Writes the letters (.eml, .html, .txt), the pages with their stylesheet, and an index of all of them.

    Files of the same names are written over; others stay.

    Raises:
        OSError: The folder cannot be made or written to.
    """
    renderer = PageRenderer()
    letters, pages = list(_letters()), list(_pages(renderer))
    for subfolder, files in (("letters", letters), ("pages", pages)):
        (folder / subfolder).mkdir(parents=True, exist_ok=True)
        for file in files:
            (folder / subfolder / f"{file.name}.{file.language}.{file.form}").write_bytes(file.content)
    stylesheet = FOLDER / "assets" / "consentflow.css"
    (folder / "pages" / stylesheet.name).write_bytes(stylesheet.read_bytes())
    index = renderer.render(
        "preview.html",
        Language.ENGLISH,
        controller=CONTROLLER,
        letters=list(dict.fromkeys(file.name for file in letters)),
        pages=list(dict.fromkeys(file.name for file in pages)),
    )
    (folder / "index.html").write_bytes(index.replace("/assets/", "pages/").encode())
    return Preview(len({(file.name, file.language) for file in letters}), len(pages), folder / "index.html")


def _letters() -> Iterator[File]:
    renderer = LetterRenderer()
    for kind in LetterKind:
        for reader, (recipient, company) in READERS.items():
            name = f"{kind.replace('_', '-')}-{reader}"
            for language in Language:
                letter = _letter(kind, language, recipient, company)
                rendered = renderer.render(letter)
                frozen = freeze(
                    rendered,
                    sender=SENDER,
                    recipient=recipient.address,
                    recipient_name=" ".join(filter(None, (recipient.given_name, recipient.family_name))) or None,
                    key=f"preview {name} {language}",
                    language=language,
                    written_at=letter.written_at,
                    unsubscribe_url=letter.links.unsubscribe,
                )
                yield File(name, language, "eml", frozen.content)
                yield File(name, language, "html", rendered.html.encode())
                yield File(name, language, "txt", rendered.text.encode())


def _letter(kind: LetterKind, language: Language, recipient: Recipient, company: str | None) -> LeadLetter:
    asks = kind is LetterKind.DOUBLE_OPT_IN
    return LeadLetter(
        kind=kind,
        language=language,
        recipient=recipient,
        company=company,
        controller=CONTROLLER,
        links=LINKS if asks else replace(LINKS, confirm=None),
        written_at=WRITTEN_AT,
        answer_until=WRITTEN_AT + timedelta(days=30) if asks else None,
    )


def _pages(renderer: PageRenderer) -> Iterator[File]:
    for name, template, standing, done in PAGES:
        for language in Language:
            html = renderer.render(
                template, language, controller=CONTROLLER, action_url="#", standing=standing, done=done
            )
            yield File(name, language, "html", _linking_files(html, name).encode())


def _linking_files(html: str, name: str) -> str:
    """The page with the stylesheet beside it, and with the files of its other languages where it has a query."""
    return re.sub(r'href="\?language=(\w+)"', rf'href="{name}.\1.html"', html.replace('"/assets/', '"'))
