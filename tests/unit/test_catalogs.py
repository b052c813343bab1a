"""Every string of every template stands in every language, complete and with the same placeholders."""

import importlib.util
import re
import shutil
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po

from consentflow.domain.letters import Language
from consentflow.templates import environment

LANGUAGES = pytest.mark.parametrize("language", list(Language))
PLACEHOLDER = re.compile(r"%\((\w+)\)s")
SAME_IN_ENGLISH = {Language.FRENCH: {"Version %(version)s", "Urgent"}}
Id: TypeAlias = str | tuple[str, str]
"""A string, or a string and its plural."""


@cache
def extracted() -> frozenset[Id]:
    with (environment.FOLDER / "babel.cfg").open(encoding="utf-8") as config:
        # Babel leaves this function untyped.
        methods, options = parse_mapping_cfg(config)  # type: ignore[no-untyped-call]
    found = extract_from_dir(environment.FOLDER, methods, options)
    return frozenset(id_of(message) for _, _, message, _, _ in found)


@cache
def catalog(language: Language) -> Catalog:
    file = environment.FOLDER / "locale" / language / "LC_MESSAGES" / "consentflow.po"
    with file.open("rb") as source:
        return read_po(source, locale=language)


def id_of(message: str | tuple[str, ...] | list[str]) -> Id:
    if isinstance(message, str):
        return message
    singular, *plural = message
    return (singular, plural[0]) if plural else singular


def forms(message_id: Id) -> tuple[str, ...]:
    return (message_id,) if isinstance(message_id, str) else message_id


def translations(language: Language) -> list[tuple[str, str]]:
    """Every English string with its translation, each plural form by itself."""
    found: list[tuple[str, str]] = []
    for message in catalog(language):
        if message.id:
            singular, plural = forms(id_of(message.id))[0], forms(id_of(message.id))[-1]
            first, *others = forms_of_translation(message)
            found += [(singular, first), *((plural, other) for other in others)]
    return found


def forms_of_translation(message: Message) -> tuple[str, ...]:
    # Babel says that a translation is one string; that of a message with a plural is a tuple.
    string: object = message.string
    return tuple(map(str, string)) if isinstance(string, tuple | list) else (str(string),)


def test_templates_have_strings() -> None:
    assert len(extracted()) > 90


def test_there_is_one_catalog_per_language_and_nothing_compiled() -> None:
    locale = environment.FOLDER / "locale"
    files = {file.relative_to(locale).as_posix() for file in locale.rglob("*") if file.is_file()}
    assert files == {f"{language}/LC_MESSAGES/consentflow.po" for language in Language}


@LANGUAGES
def test_catalog_has_exactly_the_strings_of_the_templates(language: Language) -> None:
    assert {id_of(message.id) for message in catalog(language) if message.id} == extracted()


@LANGUAGES
def test_a_string_with_a_plural_has_every_form_of_its_language(language: Language) -> None:
    number = catalog(language).num_plurals
    for message in catalog(language):
        if message.id:
            assert len(forms_of_translation(message)) == (1 if isinstance(id_of(message.id), str) else number)


@LANGUAGES
def test_the_counts_that_the_wording_hash_tries_bring_up_every_plural_form(language: Language) -> None:
    template = environment.environment(language).from_string("{{ ngettext(singular, plural, count, **values) }}")
    tried = 0
    for message in catalog(language):
        singular, plural = forms(id_of(message.id))[0], forms(id_of(message.id))[-1]
        if singular != plural:
            tried += 1
            values = dict.fromkeys(PLACEHOLDER.findall(plural), "…")
            context = {"singular": singular, "plural": plural, "values": values}
            seen = [template.render(context, count=count) for count in environment.COUNTS]
            assert seen == [PLACEHOLDER.sub("…", form) for form in forms_of_translation(message)]
    assert tried


@LANGUAGES
def test_no_translation_is_empty_fuzzy_or_obsolete(language: Language) -> None:
    assert all(text.strip() for _, text in translations(language))
    assert not [message.id for message in catalog(language) if message.id and message.fuzzy]
    assert not catalog(language).obsolete


@LANGUAGES
def test_translations_keep_the_placeholders(language: Language) -> None:
    for english, translation in translations(language):
        assert sorted(PLACEHOLDER.findall(translation)) == sorted(PLACEHOLDER.findall(english)), english
        assert "%" not in PLACEHOLDER.sub("", translation), english


@LANGUAGES
def test_translations_are_one_tidy_line(language: Language) -> None:
    for _, translation in translations(language):
        assert translation == " ".join(translation.split(" ")).strip()
        assert "\n" not in translation
        assert "  " not in translation


@LANGUAGES
def test_only_the_english_catalog_is_in_english(language: Language) -> None:
    strings = {form for message_id in extracted() for form in forms(message_id)}
    untranslated = {english for english, text in translations(language) if text == english}
    if language is Language.ENGLISH:
        assert untranslated == strings
    else:
        wordless = {english for english in strings if not re.search(r"\w", PLACEHOLDER.sub("", english))}
        assert untranslated - wordless == SAME_IN_ENGLISH.get(language, set())


@LANGUAGES
def test_no_word_of_another_language_s_law_slips_in(language: Language) -> None:
    names = {
        Language.GERMAN: "DSGVO",
        Language.FRENCH: "RGPD",
        Language.ITALIAN: "GDPR",
        Language.ENGLISH: "GDPR",
        Language.PORTUGUESE: "RGPD",
        Language.SPANISH: "RGPD",
    }
    for english, translation in translations(language):
        assert ("GDPR" in english) == (names[language] in translation), english
        foreign = {"GDPR", "DSGVO", "RGPD"} - {names[language]}
        assert not foreign & set(re.findall(r"\w+", translation)), english


def test_an_unknown_language_has_no_environment() -> None:
    with pytest.raises(FileNotFoundError):
        environment.environment("xx")


class TestWordingHash:
    """The hash of a wording is kept as evidence of what was asked."""

    LETTER = ("mail/notice.txt", "mail/notice.html")

    @pytest.fixture
    def copy(self, tmp_path: Path) -> Path:
        folder = tmp_path / "templates"
        shutil.copytree(environment.FOLDER, folder)
        return folder

    @staticmethod
    def load(folder: Path) -> ModuleType:
        """The loader as a fresh module that reads the templates of that folder."""
        spec = importlib.util.spec_from_file_location("wording_under_test", folder / "environment.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def test_is_the_same_for_the_same_words(self, copy: Path) -> None:
        assert self.load(copy).wording("de", *self.LETTER) == environment.wording("de", *self.LETTER)

    @pytest.mark.parametrize(
        ("file", "old", "new"),
        [
            ("locale/de/LC_MESSAGES/consentflow.po", "Ihr Widerspruchsrecht", "Ihr Recht auf Widerspruch"),
            ("mail/notice.words.txt", "{% set closing = [] %}", '{% set closing = ["Buy!"] %}'),
            ("mail/information.words.txt", "controller.dpo_email", "controller.email"),
            ("mail/base.txt", "links.unsubscribe", "links.confirm"),
            ("locale/de/LC_MESSAGES/consentflow.po", "Ihre Wahlmöglichkeiten", "Ihre Wahl"),
        ],
    )
    def test_changes_with_any_word_wherever_it_stands(self, copy: Path, file: str, old: str, new: str) -> None:
        changed = copy / file
        text = changed.read_text(encoding="utf-8")
        assert old in text
        changed.write_text(text.replace(old, new), encoding="utf-8")
        assert self.load(copy).wording("de", *self.LETTER) != environment.wording("de", *self.LETTER)

    @pytest.mark.parametrize("form", ["%(num)s Ihrer Unternehmen war aktiv", "%(num)s Ihrer Unternehmen waren aktiv"])
    def test_changes_with_every_plural_form(self, copy: Path, form: str) -> None:
        german = copy / "locale" / "de" / "LC_MESSAGES" / "consentflow.po"
        text = german.read_text(encoding="utf-8")
        assert f'"{form}"' in text
        german.write_text(text.replace(f'"{form}"', f'"{form}!"'), encoding="utf-8")
        letter = ("mail/digest.txt", "mail/digest.html")
        assert self.load(copy).wording("de", *letter) != environment.wording("de", *letter)

    def test_does_not_change_with_the_words_of_another_letter_or_language(self, copy: Path) -> None:
        (copy / "mail" / "double_opt_in.words.txt").write_text("{% set subject = '' %}", encoding="utf-8")
        french = copy / "locale" / "fr" / "LC_MESSAGES" / "consentflow.po"
        french.write_text(french.read_text(encoding="utf-8").replace("Vos droits", "Droits"), encoding="utf-8")
        assert self.load(copy).wording("de", *self.LETTER) == environment.wording("de", *self.LETTER)
