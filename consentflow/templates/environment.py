"""Jinja environments, one per language: sandboxed, strict about missing values, escaping what is HTML.

The catalogs are read as the .po files that translators edit; nothing compiled is kept beside them.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations
from jinja2 import FileSystemLoader, StrictUndefined, meta, select_autoescape
from jinja2.ext import extract_from_ast
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup, escape

FOLDER = Path(__file__).parent
DOMAIN = "consentflow"
COUNTS = (1, 2)
"""One number for each plural form: all our languages have two."""


def environment(language: str) -> ImmutableSandboxedEnvironment:
    """An environment whose templates speak the language (a code with a catalog, such as ``de``).

    Raises:
        FileNotFoundError: There is no catalog for the language.
    """
    jinja = _silent_environment()
    # The i18n extension adds this method at run time, out of the type checker's sight.
    jinja.install_gettext_translations(_catalog(language), newstyle=True)  # type: ignore[attr-defined]
    jinja.globals["language"] = language
    jinja.filters["linked"] = linked
    return jinja


def wording(language: str, *templates: str) -> str:
    """SHA-256 (hex) of everything that decides how the templates read before any value is filled in.

    It covers the language, the source of the templates and of all they include, import or extend, and the
    translation of every string in them, in every plural form, placeholders and all.
    """
    digest = hashlib.sha256(language.encode())
    for name in sorted(_closure(templates)):
        template = _parsed(name)
        translations = (text for strings in template.strings for text in _translations(language, strings))
        for part in (name, template.source, *translations):
            digest.update(b"\0" + part.encode())
    return digest.hexdigest()


def linked(text: str, *targets: str) -> Markup:
    """The text, escaped, with each of the given URLs and mail addresses in it turned into a link."""
    parts = re.split("(" + "|".join(map(re.escape, sorted(targets, key=len, reverse=True))) + ")", text)
    return Markup("").join(_link(part) if index % 2 else escape(part) for index, part in enumerate(parts))


def _link(target: str) -> Markup:
    href = target if "://" in target else f"mailto:{target}"
    return Markup('<a href="{}">{}</a>').format(href, target)


def _translations(language: str, strings: tuple[str, ...]) -> Iterator[str]:
    """The translation of a string, or all of those of a string and its plural."""
    if len(strings) == 1:
        yield _catalog(language).gettext(*strings)
    else:
        singular, plural = strings
        for count in COUNTS:
            yield _catalog(language).ngettext(singular, plural, count)


@dataclass(frozen=True, slots=True)
class _Template:
    """A template; ``strings`` holds what is translated: each a string alone, or with its plural."""

    source: str
    strings: tuple[tuple[str, ...], ...]
    references: frozenset[str]


def _silent_environment() -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(FOLDER),
        undefined=StrictUndefined,
        autoescape=select_autoescape(enabled_extensions=("html",), default=False),
        extensions=["jinja2.ext.i18n"],
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _catalog(language: str) -> Translations:
    compiled = BytesIO()
    with (FOLDER / "locale" / language / "LC_MESSAGES" / f"{DOMAIN}.po").open("rb") as source:
        write_mo(compiled, read_po(source, locale=language, domain=DOMAIN))
    compiled.seek(0)
    return Translations(compiled, domain=DOMAIN)


@cache
def _parsed(name: str) -> _Template:
    source = (FOLDER / name).read_text(encoding="utf-8")
    tree = _silent_environment().parse(source)
    # A string with placeholders is found as a tuple: itself, then None for each value.
    found = (strings if isinstance(strings, tuple) else (strings,) for _, _, strings in extract_from_ast(tree))
    strings = tuple(tuple(string for string in each if string) for each in found)
    references = frozenset(reference for reference in meta.find_referenced_templates(tree) if reference)
    return _Template(source, strings, references)


def _closure(templates: tuple[str, ...]) -> set[str]:
    """The templates and, followed to the end, every template they refer to."""
    found: set[str] = set()
    waiting = set(templates)
    while waiting:
        found |= waiting
        waiting = {reference for name in waiting for reference in _parsed(name).references} - found
    return found
