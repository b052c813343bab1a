"""Every letter, and every page for leads, in every language, as files to look at: no settings, database or network.

For whoever looks after the wording. Templates, renderers and freezing are those of the service; only what is filled
in is made up, so that the same code always writes the same files.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from consentflow.domain.letters import Language
from consentflow.mail.message import Sender, freeze
from consentflow.mail.render import LetterRenderer
from consentflow.mail.samples import CONTROLLER, sample_letters
from consentflow.pages.render import PageRenderer
from consentflow.templates.environment import FOLDER

SENDER = Sender(
    name=CONTROLLER.name,
    address="privacy@musterwerk.example",
    reply_to=CONTROLLER.email,
    bounce_domain=None,
    message_id_domain="musterwerk.example",
)


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
    Shown("subscription", "subscription.html"),
    Shown("subscription-confirmed", "subscription_confirmed.html"),
    Shown("subscription-leave", "subscription_leave.html"),
    Shown("subscription-left", "subscription_left.html"),
    Shown("source-request", "source_request.html"),
    Shown("source-request-sent", "source_request_sent.html"),
    Shown("identity", "identity.html"),
    Shown("identity-confirmed", "identity_confirmed.html"),
    Shown("link-unusable", "link_unusable.html"),
    Shown("too-often", "too_often.html"),
    Shown("sign-in", "sign_in.html"),
    Shown("sign-in-asked", "sign_in_asked.html"),
    Shown("sign-in-button", "sign_in_button.html"),
    Shown("sign-in-unusable", "sign_in_unusable.html"),
    Shown("sign-in-forged", "sign_in_forged.html"),
    Shown("unavailable", "unavailable.html"),
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
    for language in Language:
        for name, letter in sample_letters(language).items():
            rendered = renderer.render(letter)
            recipient = letter.recipient
            frozen = freeze(
                rendered,
                sender=SENDER,
                recipient=recipient.address,
                recipient_name=" ".join(filter(None, (recipient.given_name, recipient.family_name))) or None,
                key=f"preview {name} {language}",
                language=language,
                written_at=letter.written_at,
                unsubscribe_url=letter.one_click,
            )
            yield File(name, language, "eml", frozen.content)
            yield File(name, language, "html", rendered.html.encode())
            yield File(name, language, "txt", rendered.text.encode())


def _pages(renderer: PageRenderer) -> Iterator[File]:
    for name, template, standing, done in PAGES:
        for language in Language:
            html = renderer.render(
                template,
                language,
                controller=CONTROLLER,
                action_url="#",
                standing=standing,
                done=done,
                partner="Partner GmbH",
                partner_page="#",
                sent={},
                wrong=(),
                trap="website",
                longest=4000,
                door="partner",
                because=None,
                email="",
                invalid=False,
                minutes=20,
                way_on="#",
            )
            yield File(name, language, "html", _linking_files(html, name).encode())


def _linking_files(html: str, name: str) -> str:
    """The page with the stylesheet beside it, and with the files of its other languages where it has a query."""
    return re.sub(r'href="\?language=(\w+)"', rf'href="{name}.\1.html"', html.replace('"/assets/', '"'))
