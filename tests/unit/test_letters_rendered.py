"""Every letter in every language says what the law asks, the same in both parts, and nothing else."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from html.parser import HTMLParser
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import meta

from consentflow.domain.letters import Controller, Language, LeadLetter, LeadLinks, LetterKind, Recipient
from consentflow.mail.message import Rendered
from consentflow.mail.render import TEXT_WIDTH, LetterRenderer
from consentflow.mail.untrusted import LONGEST_NAME
from consentflow.templates.environment import FOLDER, environment

RENDERER = LetterRenderer()
URL = re.compile(r"https?://[^\s<>\"']+")
MAIL_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
ALL_LETTERS = list(product(LetterKind, Language))
LETTERS = pytest.mark.parametrize(("kind", "language"), ALL_LETTERS)
LANGUAGES = pytest.mark.parametrize("language", list(Language))

CONTROLLER = Controller(
    name="Nordlicht Software GmbH",
    address="Musterstraße 12, 10115 Berlin",
    email="contact@nordlicht.example",
    dpo_email="dpo@nordlicht.example",
    privacy_policy_url="https://nordlicht.example/privacy",
    privacy_policy_version="2026-10",
    supervisory_authority="Berliner Beauftragte für Datenschutz",
)

HEADINGS = {
    Language.GERMAN: (
        "Ihr Widerspruchsrecht | Verantwortlicher | Datenschutzbeauftragte Person"
        " | Zwecke und Rechtsgrundlage | Kategorien von Daten | Herkunft der Daten | Empfänger"
        " | Übermittlung in Drittländer | Dauer der Speicherung | Ihre Rechte | Beschwerde"
        " | Automatisierte Entscheidungen | Datenschutzerklärung"
    ),
    Language.FRENCH: (
        "Votre droit d\u2019opposition | Responsable du traitement | Délégué à la protection des données"
        " | Finalités et base juridique | Catégories de données | Source des données | Destinataires"
        " | Transferts vers des pays tiers | Durée de conservation | Vos droits | Réclamation"
        " | Décisions automatisées | Politique de confidentialité"
    ),
    Language.ITALIAN: (
        "Il Suo diritto di opposizione | Titolare del trattamento | Responsabile della protezione dei dati"
        " | Finalità e base giuridica | Categorie di dati | Origine dei dati | Destinatari"
        " | Trasferimenti verso Paesi terzi | Durata della conservazione | I Suoi diritti | Reclamo"
        " | Decisioni automatizzate | Informativa sulla privacy"
    ),
    Language.ENGLISH: (
        "Your right to object | Controller | Data protection officer | Purposes and legal basis"
        " | Categories of data | Source | Recipients | Transfers to third countries"
        " | How long we keep the data | Your rights | Complaint | Automated decisions | Privacy policy"
    ),
    Language.PORTUGUESE: (
        "O seu direito de oposição | Responsável pelo tratamento | Encarregado da proteção de dados"
        " | Finalidades e fundamento jurídico | Categorias de dados | Origem dos dados | Destinatários"
        " | Transferências para países terceiros | Prazo de conservação | Os seus direitos | Reclamação"
        " | Decisões automatizadas | Política de privacidade"
    ),
    Language.SPANISH: (
        "Su derecho de oposición | Responsable del tratamiento | Delegado de protección de datos"
        " | Fines y base jurídica | Categorías de datos | Procedencia de los datos | Destinatarios"
        " | Transferencias a terceros países | Plazo de conservación | Sus derechos | Reclamación"
        " | Decisiones automatizadas | Política de privacidad"
    ),
}
"""The checklist of Art. 13 and 14(1)-(2) GDPR: what a reader finds it under."""

RIGHTS = {
    Language.GERMAN: "Auskunft, Berichtigung, Löschung, Einschränkung, Datenübertragbarkeit, widerrufen",
    Language.FRENCH: "accès, rectification, effacement, limitation, portabilité, opposition, retirer",
    Language.ITALIAN: "accesso, rettifica, cancellazione, limitazione, portabilità, opposizione, revocare",
    Language.ENGLISH: "access, rectification, erasure, restriction, portability, object, withdraw",
    Language.PORTUGUESE: "acesso, retificação, apagamento, limitação, portabilidade, oposição, retirar",
    Language.SPANISH: "acceso, rectificación, supresión, limitación, portabilidad, oposición, retirar",
}

ARTICLES_OF_EVERY_LETTER = ["15", "16", "17", "18", "20", "21", "22", "28", "45", "46", "77", "49"]

PARAGRAPHS = {
    Language.GERMAN: "Art. {} Abs. {} lit. {}",
    Language.FRENCH: "art. {}, par. {}, point {})",
    Language.ITALIAN: "art. {}, par. {}, lett. {})",
    Language.ENGLISH: "Art. {}({})({})",
    Language.PORTUGUESE: "art. {}.º, n.º {}, alínea {})",
    Language.SPANISH: "art. {}.{}.{}",
}

SALES_PARTNER = {
    Language.GERMAN: "einer unserer Vertriebspartner",
    Language.FRENCH: "un de nos partenaires commerciaux",
    Language.ITALIAN: "un nostro partner commerciale",
    Language.ENGLISH: "a sales partner of ours",
    Language.PORTUGUESE: "um dos nossos parceiros comerciais",
    Language.SPANISH: "uno de nuestros socios comerciales",
}

CHOICES = {
    Language.GERMAN: "Ihre Wahlmöglichkeiten",
    Language.FRENCH: "Vos choix",
    Language.ITALIAN: "Le Sue scelte",
    Language.ENGLISH: "Your choices",
    Language.PORTUGUESE: "As suas escolhas",
    Language.SPANISH: "Sus opciones",
}

GREETINGS = {
    Language.GERMAN: ("Guten Tag Lea Muster,", "Guten Tag,"),
    Language.FRENCH: ("Bonjour Lea Muster,", "Bonjour,"),
    Language.ITALIAN: ("Gentile Lea Muster,", "Buongiorno,"),
    Language.ENGLISH: ("Hello Lea Muster,", "Hello,"),
    Language.PORTUGUESE: ("Olá, Lea Muster,", "Olá,"),
    Language.SPANISH: ("Hola, Lea Muster:", "Hola:"),
}

DATES = {
    Language.GERMAN: "22. Dezember 2026",
    Language.FRENCH: "22 décembre 2026",
    Language.ITALIAN: "22 dicembre 2026",
    Language.ENGLISH: "22 December 2026",
    Language.PORTUGUESE: "22 de dezembro de 2026",
    Language.SPANISH: "22 de diciembre de 2026",
}

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</style></title></td>",
    "{{ 7*7 }}{% raw %}",
    "%(x)s %s %",
    "]]>",
    "<!--[if mso]>",
    "a\r\nBcc: eve@evil.example",
    "a\n\n-- \nb\u2028c\u2029d\x0be\x1ff",
    "\u202eevil\u2066",
    "=?utf-8?q?a=0D=0ABcc:x?=",
    "https://evil.example/win",
    "www.evil.example",
    "eve@evil.example",
    "\ud800",
    "x" * 5000,
    "many words " * 500,
]


def letter(kind: LetterKind, language: Language) -> LeadLetter:
    asks = kind is LetterKind.DOUBLE_OPT_IN
    return LeadLetter(
        kind=kind,
        language=language,
        recipient=Recipient("lea@firma.example", "Lea", "Muster"),
        company="Firma & Söhne GmbH",
        controller=CONTROLLER,
        links=LeadLinks(
            "https://c.example/unsubscribe/u1",
            "https://c.example/preferences/p1",
            "https://c.example/confirm/c1" if asks else None,
            source_request="https://c.example/source-request",
        ),
        written_at=datetime(2026, 11, 22, 9, tzinfo=UTC),
        answer_until=datetime(2026, 12, 22, 9, tzinfo=UTC) if asks else None,
    )


def named(original: LeadLetter, given: str | None, family: str | None, company: str | None) -> LeadLetter:
    recipient = Recipient(original.recipient.address, given, family)
    return replace(original, recipient=recipient, company=company)


class Page(HTMLParser):
    """What a mail client makes of the HTML part: its tags, links and visible text, block by block."""

    BLOCKS = frozenset({"p", "td", "h1", "h2", "h3", "br"})
    UNSEEN = frozenset({"style", "title"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.styles: list[str] = []
        self.attributes: dict[str, dict[str, str | None]] = {}
        self.blocks: list[str] = [""]
        self._unseen: str | None = None
        self.feed(html)
        self.blocks = [spaced for block in self.blocks if (spaced := spaced_once(block))]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes[tag] = dict(attrs)
        if tag == "a":
            self.links.append(dict(attrs)["href"] or "")
        if tag in self.BLOCKS:
            self.blocks.append("")
        if tag in self.UNSEEN:
            self._unseen = tag

    def handle_endtag(self, tag: str) -> None:
        if tag in self.BLOCKS:
            self.blocks.append("")
        if tag == self._unseen:
            self._unseen = None

    def handle_data(self, data: str) -> None:
        if self._unseen is None:
            self.blocks[-1] += data
        elif self._unseen == "style":
            self.styles.append(data)


def spaced_once(text: str) -> str:
    return " ".join(text.split())


def parts(rendered: Rendered) -> Mapping[str, str]:
    """Both parts as a reader sees them, with every run of white space made one space."""
    return {"text": spaced_once(rendered.text), "html": " ".join(Page(rendered.html).blocks)}


@LETTERS
def test_both_parts_hold_the_whole_checklist(kind: LetterKind, language: Language) -> None:
    for text in parts(RENDERER.render(letter(kind, language))).values():
        for heading in HEADINGS[language].split(" | "):
            assert heading in text
        for right in RIGHTS[language].split(", "):
            assert right in text
        for number in ARTICLES_OF_EVERY_LETTER:
            assert re.search(rf"\bart\w*\.? {number}\b", text, re.IGNORECASE), number
        assert PARAGRAPHS[language].format(6, 1, "f") in text
        assert PARAGRAPHS[language].format(15, 1, "g") in text
        assert SALES_PARTNER[language].lower() in text.lower()


@LETTERS
def test_both_parts_name_the_controller_and_where_to_reach_it(kind: LetterKind, language: Language) -> None:
    for text in parts(RENDERER.render(letter(kind, language))).values():
        assert f"{CONTROLLER.name}, {CONTROLLER.address}, {CONTROLLER.email}" in text
        assert CONTROLLER.dpo_email in text
        assert CONTROLLER.supervisory_authority in text
        assert CONTROLLER.privacy_policy_url in text
        assert CONTROLLER.privacy_policy_version in text
        assert "lea@firma.example" in text


@LANGUAGES
def test_double_opt_in_asks_first_and_says_until_when(language: Language) -> None:
    question = letter(LetterKind.DOUBLE_OPT_IN, language)
    rendered = RENDERER.render(question)
    heading = spaced_once(rendered.text.split("\n\n")[0])
    assert heading.endswith("?")
    assert Page(rendered.html).blocks[:2] == [CONTROLLER.name, heading]
    for text in parts(rendered).values():
        assert DATES[language] in text
        assert PARAGRAPHS[language].format(6, 1, "a") in text
        assert str(question.links.confirm) in text
        assert text.index(str(question.links.confirm)) < text.index(question.links.unsubscribe)


@LANGUAGES
def test_notice_asks_nothing_and_lets_one_object(language: Language) -> None:
    notice = letter(LetterKind.NOTICE, language)
    rendered = RENDERER.render(notice)
    assert "?" not in rendered.text
    assert Page(rendered.html).links.count(notice.links.unsubscribe) == 2


@LETTERS
def test_the_choices_follow_the_objection(kind: LetterKind, language: Language) -> None:
    original = letter(kind, language)
    for text in parts(RENDERER.render(original)).values():
        after_objection = text.partition(original.links.unsubscribe)[2]
        choices = after_objection.partition(HEADINGS[language].split(" | ")[1])[0]
        assert CHOICES[language] in choices
        assert original.links.preferences in choices


@LETTERS
def test_nothing_competes_with_the_one_button(kind: LetterKind, language: Language) -> None:
    links = letter(kind, language).links
    html = RENDERER.render(letter(kind, language)).html
    buttons = re.findall(r'<td class="(\w+)"[^>]*><a href="([^"]+)"', html)
    asking = [("main", links.confirm)] if kind is LetterKind.DOUBLE_OPT_IN else []
    assert buttons == [*asking, ("quiet", links.unsubscribe)]
    (choices,) = re.findall(r'<p class="choices".*?</p>', html)
    assert html.count(links.preferences) == choices.count(links.preferences) > 0


@LANGUAGES
def test_the_day_is_the_one_in_utc(language: Language) -> None:
    berlin_night = datetime(2026, 12, 23, 0, 30, tzinfo=timezone(timedelta(hours=1)))
    question = replace(letter(LetterKind.DOUBLE_OPT_IN, language), answer_until=berlin_night)
    assert DATES[language] in spaced_once(RENDERER.render(question).text)


@LANGUAGES
def test_greets_by_name_or_neutrally(language: Language) -> None:
    notice = letter(LetterKind.NOTICE, language)
    by_name, neutral = GREETINGS[language]
    for text in (RENDERER.render(notice).text, RENDERER.render(notice).html):
        assert by_name in text
    for text in (
        RENDERER.render(named(notice, None, " ", None)).text,
        RENDERER.render(named(notice, None, None, None)).html,
    ):
        assert neutral in text
    assert by_name.replace("Lea ", "") in RENDERER.render(named(notice, None, "Muster", None)).text


@LETTERS
def test_both_parts_carry_the_same_links(kind: LetterKind, language: Language) -> None:
    original = letter(kind, language)
    rendered = RENDERER.render(original)
    links = set(Page(rendered.html).links)
    web = {link for link in links if not link.startswith("mailto:")}
    own = original.links
    expected = {own.unsubscribe, own.preferences, own.confirm, own.source_request, CONTROLLER.privacy_policy_url} - {
        None
    }
    assert web == expected == set(URL.findall(rendered.text))
    addresses = {link.removeprefix("mailto:") for link in links - web}
    assert addresses == {CONTROLLER.email, CONTROLLER.dpo_email}
    assert addresses | {"lea@firma.example"} == set(MAIL_ADDRESS.findall(URL.sub("", rendered.text)))


@LETTERS
def test_both_parts_say_the_same(kind: LetterKind, language: Language) -> None:
    rendered = RENDERER.render(letter(kind, language))
    text = spaced_once(rendered.text)
    blocks = Page(rendered.html).blocks
    assert [block for block in blocks if block not in text] == []
    assert set(text.replace(":", "").split()) == set(" ".join(blocks).replace(":", "").split())


@LETTERS
def test_every_address_can_be_followed_without_html(kind: LetterKind, language: Language) -> None:
    lines = RENDERER.render(letter(kind, language)).text.split("\n")
    assert all(line.strip() == URL.findall(line)[0] for line in lines if "://" in line)


@LETTERS
def test_text_lines_fit_a_screen(kind: LetterKind, language: Language) -> None:
    text = RENDERER.render(letter(kind, language)).text
    assert max(map(len, text.split("\n"))) <= TEXT_WIDTH
    assert "\n\n\n\n" not in text
    assert not re.search(r"[ \t]\n", text)
    assert text.endswith("\n")


@LETTERS
def test_nothing_is_left_unfilled(kind: LetterKind, language: Language) -> None:
    rendered = RENDERER.render(letter(kind, language))
    for text in (rendered.subject, *parts(rendered).values()):
        assert not re.search(r"%\(|\{\{|\{%|\bNone\b(?!, and no profiling)|[\x00-\x1f]", text)


@LETTERS
def test_subject_is_one_short_line_from_the_controller(kind: LetterKind, language: Language) -> None:
    subject = RENDERER.render(letter(kind, language)).subject
    assert subject.startswith(CONTROLLER.name)
    assert len(subject) < 90
    assert subject.isprintable() or "\u00a0" in subject
    assert "\n" not in subject


@LETTERS
def test_html_needs_nothing_from_elsewhere(kind: LetterKind, language: Language) -> None:
    html = RENDERER.render(letter(kind, language)).html
    assert not re.search(r"\bsrc\s*=|url\(|@import|background\s*=", html, re.IGNORECASE)
    assert not {"script", "link", "img", "form", "iframe", "object"} & set(Page(html).tags)


@LETTERS
def test_html_survives_mail_clients(kind: LetterKind, language: Language) -> None:
    html = RENDERER.render(letter(kind, language)).html
    page = Page(html)
    assert page.attributes["html"] == {"lang": language}
    assert html.encode().index(b"<meta charset") < 1024
    assert '<meta name="color-scheme" content="light dark">' in html
    assert "max-width: 600px" in html
    assert page.tags.count("h1") == 1
    assert html.count("<table") == html.count("<table role=") + html.count('<table class="')
    assert html.count('role="presentation"') == html.count("<table")
    (kept,) = page.styles
    assert "@media (prefers-color-scheme: dark)" in kept
    assert re.sub(r"@media[^{]+\{(?:[^{}]*\{[^{}]*\})*\s*\}", "", kept).strip() == ""
    assert len(html.encode()) < 100_000  # Gmail clips what is longer


@LETTERS
def test_rendering_is_deterministic(kind: LetterKind, language: Language) -> None:
    assert RENDERER.render(letter(kind, language)) == LetterRenderer().render(letter(kind, language))


@LETTERS
@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_are_harmless(kind: LetterKind, language: Language, hostile: str) -> None:
    rendered = RENDERER.render(named(letter(kind, language), hostile, hostile, hostile))
    assert_tame(rendered, kind, language)
    assert "evil.example" not in rendered.text + rendered.html
    assert max(map(len, rendered.text.split("\n"))) <= LONGEST_NAME + TEXT_WIDTH


def test_names_are_shown_as_they_are_and_never_as_templates() -> None:
    rendered = RENDERER.render(named(letter(LetterKind.NOTICE, Language.ENGLISH), "{{ 7*7 }}", "%(x)s", "A<b>&B"))
    assert "Hello {{ 7*7 }} %(x)s," in rendered.text
    assert "Hello {{ 7*7 }} %(x)s," in rendered.html
    assert "“A<b>&B”" in rendered.text
    assert "“A&lt;b&gt;&amp;B”" in rendered.html


@pytest.mark.parametrize(
    "given", ["https://evil.example/win", "Win at evil.example", "www.evil.example", "eve@evil.example"]
)
def test_a_name_that_mail_clients_would_link_is_left_out(given: str) -> None:
    rendered = RENDERER.render(named(letter(LetterKind.NOTICE, Language.ENGLISH), given, "Muster", "Firma"))
    assert "Hello,\n" in rendered.text
    assert "evil" not in rendered.text + rendered.html


def test_names_of_every_script_are_kept() -> None:
    arabic, persian = "\u0645\u062d\u0645\u062f", "\u0645\u06cc\u200c\u062e\u0648"
    for name in ("Łucja Ærø-Müller", "李小龍", arabic, persian, "O\u2019Neill", "Dr. J. R. Müller"):
        rendered = RENDERER.render(named(letter(LetterKind.NOTICE, Language.ENGLISH), name, None, None))
        assert f"Hello {name}," in rendered.text
        assert f"Hello {name}," in rendered.html


def test_a_name_is_never_broken_across_lines() -> None:
    company = "one two three four five six seven eight nine ten eleven twelve thirteen"
    text = RENDERER.render(named(letter(LetterKind.NOTICE, Language.ENGLISH), None, None, company)).text
    assert f"“{company}”" in text


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(ALL_LETTERS), st.text(max_size=60), st.text(max_size=60), st.text(max_size=120))
def test_no_name_can_change_the_shape_of_a_letter(
    which: tuple[LetterKind, Language], given_name: str, family_name: str, company: str
) -> None:
    rendered = RENDERER.render(named(letter(*which), given_name, family_name, company))
    assert_tame(rendered, *which)


def assert_tame(rendered: Rendered, kind: LetterKind, language: Language) -> None:
    """The letter has the tags, links, headers and paragraphs of any other; nothing has slipped in."""
    plain = RENDERER.render(letter(kind, language))
    page, plain_page = Page(rendered.html), Page(plain.html)
    assert page.tags == plain_page.tags
    assert page.links == plain_page.links
    assert len(page.blocks) == len(plain_page.blocks)
    assert rendered.subject == plain.subject
    assert rendered.text_version == plain.text_version
    assert set(URL.findall(rendered.text)) == set(URL.findall(plain.text))
    assert len(paragraphs(rendered.text)) == len(paragraphs(plain.text))
    (rendered.text + rendered.html).encode()
    for line in rendered.text.split("\n"):
        assert not re.search(r"[^\S \u00a0]|[\x00-\x1f\u202a-\u202e\u2066-\u2069]", line)


def paragraphs(text: str) -> list[str]:
    return [paragraph for paragraph in text.split("\n\n") if paragraph.strip()]


@pytest.mark.parametrize("kind", list(LetterKind))
def test_templates_see_nothing_but_what_a_letter_may_say(kind: LetterKind) -> None:
    jinja = environment(Language.ENGLISH)
    jinja.filters["wrapped"] = str
    seen: set[str] = set()
    waiting, done = {f"mail/{kind}.txt", f"mail/{kind}.html"}, set[str]()
    while waiting:
        done.add(name := waiting.pop())
        tree = jinja.parse((FOLDER / name).read_text(encoding="utf-8"))
        seen |= meta.find_undeclared_variables(tree)
        waiting |= {str(reference) for reference in meta.find_referenced_templates(tree)} - done
    of_one_another = {"words", "greeting", "source"}
    values = {"name", "company", "address", "controller", "links"}
    asked = {"answer_until"} if kind is LetterKind.DOUBLE_OPT_IN else set()
    assert seen - of_one_another == values | asked


@LETTERS
def test_text_version_is_that_of_the_words_not_of_the_reader(kind: LetterKind, language: Language) -> None:
    mine = RENDERER.render(letter(kind, language))
    other = RENDERER.render(
        replace(
            named(letter(kind, language), "Max", None, None),
            links=LeadLinks(
                "https://c.example/unsubscribe/u2",
                "https://c.example/preferences/p2",
                "https://c.example/confirm/c2",
                source_request="https://c.example/source-request",
            ),
            written_at=datetime(2027, 1, 1, tzinfo=UTC),
            answer_until=datetime(2027, 1, 31, tzinfo=UTC),
        )
    )
    assert mine.text_version == other.text_version
    assert re.fullmatch("[0-9a-f]{64}", mine.text_version)


def test_text_version_tells_letters_and_languages_apart() -> None:
    versions = {RENDERER.render(letter(*which)).text_version for which in ALL_LETTERS}
    assert len(versions) == len(ALL_LETTERS)


def test_a_question_without_its_link_or_its_end_is_no_letter() -> None:
    question = letter(LetterKind.DOUBLE_OPT_IN, Language.ENGLISH)
    for incomplete in (
        replace(question, answer_until=None),
        replace(question, links=replace(question.links, confirm=None)),
    ):
        with pytest.raises(ValueError, match="double opt-in"):
            RENDERER.render(incomplete)
