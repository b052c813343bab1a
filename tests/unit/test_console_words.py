"""Whatever the service can name, the console has words for, in every language."""

from collections.abc import Iterable

import pytest

from consentflow.domain.acts import Act
from consentflow.domain.audit import Wrong
from consentflow.domain.consent import Fact
from consentflow.domain.letters import Language
from consentflow.domain.policy import Reason, Regime
from consentflow.domain.registrations import State
from consentflow.domain.source_requests import Channel, SourceState
from consentflow.domain.worklist import TimeLeft
from consentflow.mail.render import KINDS
from consentflow.operations.posting import Outcome
from consentflow.storage.personal import HOLDINGS, SIGN_INS, Goes
from consentflow.templates.environment import environment

LANGUAGES = pytest.mark.parametrize("language", list(Language))
NAMED: dict[str, Iterable[str]] = {
    "state": State,
    "regime": Regime,
    "reason": Reason,
    "fact": Fact,
    "mail_kind": KINDS,
    "mail_state": ("frozen", "attempting", *Outcome),
    "request_state": SourceState,
    "channel": Channel,
    "act": Act,
    "wrong": Wrong,
    "holding": [each.name for each in (*HOLDINGS, SIGN_INS) if each.goes is not Goes.STAYS],
}


def words(language: Language, macro: str, code: object) -> str:
    module = environment(language).get_template("pages/console/words.html").module
    return str(getattr(module, macro)(code)).strip()


@LANGUAGES
@pytest.mark.parametrize("macro", NAMED)
def test_every_code_has_words(language: Language, macro: str) -> None:
    for code in NAMED[macro]:
        said = words(language, macro, code)
        assert said, code
        assert "_" not in said, code
        assert said != code or language is Language.ENGLISH, code


@pytest.mark.parametrize(
    ("days", "working", "said"),
    [
        (-3, 0, "3 days over"),
        (-1, 0, "one day over"),
        (0, 0, "due today"),
        (1, 1, "due tomorrow"),
        (3, 1, "due in 3 days, on the next working day"),
        (10, 5, "due in 10 days, 5 of them working days"),
    ],
)
def test_the_time_left_is_said_as_people_say_it(days: int, working: int, said: str) -> None:
    assert words(Language.ENGLISH, "time_left", TimeLeft(days, working)) == said
