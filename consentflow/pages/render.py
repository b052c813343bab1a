"""Pages, rendered from the templates in every language. The same loader serves the letters."""

from babel import Locale

from consentflow.domain.letters import Language
from consentflow.templates.environment import environment


class PageRenderer:
    """Renders pages. Build one and keep it: templates and catalogs are read once."""

    def __init__(self) -> None:
        self._jinja = {language: environment(language) for language in Language}
        names = [(language.value, _own_name(language)) for language in Language]
        for jinja in self._jinja.values():
            jinja.globals["languages"] = names

    def render(self, template: str, language: Language, **context: object) -> str:
        """The page as HTML.

        Args:
            template: File name under ``templates/pages``, such as ``confirm.html``.
            language: The language it is written in.
            context: What the template uses; ``controller`` always.

        Raises:
            jinja2.TemplateNotFound: There is no such page.
            jinja2.UndefinedError: A value that the page needs is missing.
        """
        return self._jinja[language].get_template(f"pages/{template}").render(context)


def _own_name(language: Language) -> str:
    """The language's name in itself, as its speakers look for it: Deutsch, Français, Italiano."""
    name = Locale(language).get_display_name(language)
    return (name or language).capitalize()
