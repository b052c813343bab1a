"""Jinja environments, one per language: sandboxed, strict about missing values, escaping what is HTML.

The catalogs are read as the .po files that translators edit; nothing compiled is kept beside them.
"""

import hashlib
import re
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
    translation of every string in them, placeholders and all.
    """
    digest = hashlib.sha256(language.encode())
    for name in sorted(_closure(templates)):
        template = _parsed(name)
        for part in (name, template.source, *map(_catalog(language).gettext, template.strings)):
            digest.update(b"\0" + part.encode())
    return digest.hexdigest()


def linked(text: str, *targets: str) -> Markup:
    """The text, escaped, with each of the given URLs and mail addresses in it turned into a link."""
    parts = re.split("(" + "|".join(map(re.escape, sorted(targets, key=len, reverse=True))) + ")", text)
    return Markup("").join(_link(part) if index % 2 else escape(part) for index, part in enumerate(parts))


def _link(target: str) -> Markup:
    href = target if "://" in target else f"mailto:{target}"
    return Markup('<a href="{}">{}</a>').format(href, target)


@dataclass(frozen=True, slots=True)
class _Template:
    source: str
    strings: tuple[str, ...]
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
    strings = tuple(string for strings in found for string in strings if string)
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
