"""Replaying stored registrations under another policy: who would be treated differently, and who would not."""

import asyncio
import csv
import io
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from typer.testing import CliRunner

from consentflow.cli import app
from consentflow.domain.errors import RegistrationClosed
from consentflow.domain.events import CloudEvent
from consentflow.domain.intake import RegistrationIn
from consentflow.domain.letters import LetterKind
from consentflow.domain.policy import Policy, Reason, Regime, read_policy
from consentflow.domain.registrations import State
from consentflow.domain.simulation import Difference, Summary
from consentflow.operations.posting import NotYet
from consentflow.runtime import Parts
from consentflow.simulating import COLUMNS, as_cell
from consentflow.storage.mails import StoredMail
from tests.conftest import HandClock, environment

DEFAULT = read_policy()


def policy(double_opt_in: str = "DE AT CH", delayed_notice: str = "FR", **more: object) -> Policy:
    regions = {"double_opt_in": double_opt_in.split(), "delayed_notice": delayed_notice.split()}
    return Policy.model_validate({"name": "tried-out", "regions": regions} | more)


@dataclass
class World:
    """Leads to whom things happen, one a second."""

    parts: Parts
    clock: HandClock
    registered: int = 0
    events: int = 0

    async def registers(self, country: str | None, lead: str = "lea", **more: object) -> str:
        self.registered += 1
        self.clock.pass_time(seconds=1)
        registration_id = f"r-{self.registered:03}"
        body = {
            "registration_id": registration_id,
            "partner_id": f"p-{self.registered}",
            "contact": {"email": f"{lead}@gmail.com", "given_name": "Lea", "family_name": "Muster"},
            "country": country,
        }
        await self.parts.registrations.register(RegistrationIn.model_validate(body | more))
        return registration_id

    async def happens(self, kind: str, lead: str = "lea") -> None:
        self.events += 1
        self.clock.pass_time(seconds=1)
        event = {"specversion": "1.0", "id": str(self.events), "source": "site", "type": f"contact.{kind}"}
        data = {"data": {"email": f"{lead}@gmail.com"}}
        await self.parts.events.record([CloudEvent.model_validate(event | data)])

    async def corrects(self, registration_id: str, country: str | None) -> None:
        self.clock.pass_time(seconds=1)
        await self.parts.registrations.correct_location(registration_id, country)

    async def mail_leaves(self, registration_id: str, kind: LetterKind = LetterKind.DOUBLE_OPT_IN) -> dict[str, str]:
        """The mail leaves if it is still to; returns the tokens of its links by purpose."""
        self.clock.pass_time(seconds=1)
        due = await self.parts.sending.begin(registration_id, kind)
        if not isinstance(due, StoredMail) or due.mail is None:
            return {}
        self.clock.pass_time(seconds=1)
        await self.parts.sending.accepted(due.mail_id, "2.0.0 taken")
        text = due.mail.content.decode().replace("=\r\n", "")
        return dict(re.findall(r"/(confirm|unsubscribe|preferences)/([\w-]{22})", text))

    async def confirms(self, token: str) -> None:
        self.clock.pass_time(seconds=1)
        await self.parts.consent.confirm(token)

    async def state(self, registration_id: str) -> State:
        return (await self.parts.registrations.find(registration_id)).registration.state

    async def simulated(self, other: Policy) -> tuple[dict[str, Difference], Summary]:
        found: dict[str, Difference] = {}

        def report(difference: Difference) -> None:
            found[difference.taken.registration_id] = difference

        return found, await self.parts.simulation.run(other, report)


@pytest.fixture
def world(parts: Parts, clock: HandClock) -> World:
    return World(parts, clock)


# --- Who would be treated differently


async def test_a_lead_whose_country_changes_its_regime_is_found_with_both_treatments(world: World) -> None:
    await world.registers("FR")
    found, summary = await world.simulated(policy("DE AT CH FR", ""))
    (difference,) = found.values()
    was, would_be = difference.taken.treatment, difference.treatment
    assert (was.regime, was.reason) == (Regime.DELAYED_NOTICE, Reason.DELAYED_NOTICE_REGION)
    assert was.notice_due == world.clock.now() + timedelta(days=30)
    assert (would_be.regime, would_be.reason) == (Regime.DOUBLE_OPT_IN, Reason.DOUBLE_OPT_IN_REGION)
    assert would_be.notice_due is None
    assert difference.taken.policy_version == DEFAULT.version
    assert (summary.looked_at, summary.different) == (1, 1)


async def test_a_notice_at_another_time_is_a_difference(world: World) -> None:
    await world.registers("FR", registered_at="2026-01-31T10:00:00Z")
    await world.registers("FR", "urs", registered_at="2026-10-10T10:00:00Z")
    found, summary = await world.simulated(policy(notice={"cap": "one_month"}))
    assert list(found) == ["r-001"]
    assert found["r-001"].treatment.notice_due == datetime(2026, 2, 28, 10, tzinfo=UTC)
    (change,) = summary.changes
    assert (change.was, change.notice) == (change.would_be, "earlier")
    _, summary = await world.simulated(policy(notice={"after_days": 40}))
    assert [change.notice for change in summary.changes] == ["later"]
    assert summary.different == 2


async def test_the_shipped_policy_for_the_eea_and_the_uk_changes_those_four_countries_alone(
    world: World, tmp_path: Path
) -> None:
    for number, country in enumerate(("DE", "FR", "US", None, "NO", "IS", "LI", "GB", "GL")):
        await world.registers(country, f"lead{number}")
    shipped = Path(__file__).parents[2] / "consentflow/domain/policies/eea-uk.toml"
    found, _ = await world.simulated(read_policy(shipped))
    assert {difference.taken.country for difference in found.values()} == {"NO", "IS", "LI", "GB"}
    (tmp_path / "unknown.toml").write_text(
        shipped.read_text().replace('unknown = "delayed', 'unknown = "double_opt_in" #')
    )
    found, _ = await world.simulated(read_policy(tmp_path / "unknown.toml"))
    assert {difference.taken.country for difference in found.values()} == {None, "NO", "IS", "LI", "GB"}


async def test_what_was_on_record_at_acceptance_counts_and_what_came_later_does_not(world: World) -> None:
    await world.happens("form_submitted")
    await world.registers("FR")
    early, _ = await world.simulated(policy("FR", "DE"))
    assert early["r-001"].taken.treatment.reason is Reason.ALREADY_INFORMED
    await world.registers("FR", "urs")
    await world.happens("form_submitted", "urs")
    assert await world.state("r-002") is State.SATISFIED
    later, _ = await world.simulated(policy("FR", "DE"))
    assert later["r-002"].taken.treatment.reason is Reason.DELAYED_NOTICE_REGION
    assert later["r-001"] == early["r-001"]


async def test_a_consent_counts_until_it_is_taken_back(world: World) -> None:
    links = await world.mail_leaves(await world.registers("DE"))
    await world.confirms(links["confirm"])
    await world.registers("FR")
    world.clock.pass_time(seconds=1)
    await world.parts.preferences.withdraw(links["preferences"])
    await world.registers("FR")
    found, _ = await world.simulated(policy("FR", "DE"))
    assert found["r-002"].treatment.reason is Reason.ALREADY_CONFIRMED
    assert found["r-003"].treatment.reason is Reason.DOUBLE_OPT_IN_REGION


async def test_whoever_is_suppressed_gets_nothing_under_any_policy_and_is_no_difference(world: World) -> None:
    await world.happens("objected")
    await world.registers("FR")
    _, summary = await world.simulated(policy("FR", "DE"))
    assert (summary.looked_at, summary.different) == (1, 0)


async def test_a_corrected_location_counts_from_its_correction(world: World) -> None:
    corrected = await world.registers(None)
    await world.corrects(corrected, "FR")
    await world.registers(None, "urs")
    found, _ = await world.simulated(policy("FR", "DE"))
    assert list(found) == [corrected]
    assert found[corrected].taken.treatment.reason is Reason.DELAYED_NOTICE_REGION


async def test_a_question_that_had_left_before_the_location_was_corrected_stands_under_any_policy(world: World) -> None:
    asked = await world.registers("DE")
    await world.mail_leaves(asked)
    await world.corrects(asked, "FR")
    for other in (DEFAULT, policy("FR", "DE"), policy("", "FR"), policy("", "")):
        found, _ = await world.simulated(other)
        assert found == {}


async def test_whoever_joined_a_question_is_decided_as_at_its_acceptance(world: World) -> None:
    first = await world.registers("DE")
    await world.mail_leaves(first)
    joined = await world.registers("AT")
    found, _ = await world.simulated(policy("DE", "AT"))
    assert list(found) == [joined]
    assert found[joined].taken.treatment.reason is Reason.ALREADY_ASKED
    assert found[joined].treatment.reason is Reason.ALREADY_INFORMED  # by the mail that the first one got


async def test_a_question_that_another_registration_put_later_does_not_count(world: World) -> None:
    await world.registers("FR")
    await world.mail_leaves(await world.registers("DE"))
    found, _ = await world.simulated(policy("FR", "DE"))
    assert found["r-001"].treatment.reason is Reason.DOUBLE_OPT_IN_REGION


async def test_what_a_withdrawn_or_ended_registration_was_treated_like_is_still_known(world: World) -> None:
    await world.parts.registrations.withdraw(await world.registers("FR"))
    notified = await world.registers("FR", "urs")
    world.clock.pass_time(days=31)
    await world.mail_leaves(notified, LetterKind.NOTICE)
    assert await world.state(notified) is State.NOTIFIED
    found, _ = await world.simulated(policy("FR", "DE"))
    assert list(found) == ["r-001", notified]


# --- Nobody is treated differently by the policy that decided


PLACES = ["DE", "AT", "FR", "RE", "US", "NO", "nowhere", None]
HAPPENINGS = {"form_submitted": 4, "opted_in": 1, "email_verified": 1, "objected": 1}
LEADS = [f"lead{number}" for number in range(8)]


async def anything(world: World, chance: Random, mine: list[str], tokens: list[str]) -> None:
    """One thing that can happen; registrations and the tokens of buttons are remembered in the lists."""
    match chance.choice(("register", "register", "happen", "correct", "mail", "mail", "confirm", "withdraw", "wait")):
        case "register":
            mine.append(await world.registers(chance.choice(PLACES), chance.choice(LEADS)))
        case "happen":
            (kind,) = chance.choices([*HAPPENINGS], [*HAPPENINGS.values()])
            await world.happens(kind, chance.choice(LEADS))
        case "correct" if mine:
            with suppress(RegistrationClosed):
                await world.corrects(chance.choice(mine), chance.choice(PLACES))
        case "mail" if mine:
            with suppress(NotYet):
                links = await world.mail_leaves(chance.choice(mine), chance.choice([*LetterKind]))
                tokens += [token for purpose, token in links.items() if purpose == "confirm"]
        case "confirm" if tokens:
            await world.confirms(chance.choice(tokens))
        case "withdraw" if mine:
            with suppress(RegistrationClosed):
                await world.parts.registrations.withdraw(chance.choice(mine))
        case "wait":
            world.clock.pass_time(days=chance.choice((1, 9, 20)))


@pytest.mark.parametrize("seed", range(4))
async def test_the_policy_in_force_finds_no_difference_to_itself_whatever_has_happened(world: World, seed: int) -> None:
    chance, mine, tokens = Random(seed), list[str](), list[str]()
    for _ in range(120):
        await anything(world, chance, mine, tokens)
    found, summary = await world.simulated(DEFAULT)
    assert found == {}
    assert summary.looked_at == len(mine) > 10
    _, otherwise = await world.simulated(policy("FR", "DE"))
    assert otherwise.different > 0


async def test_thousands_come_one_by_one_and_in_order(world: World) -> None:
    await world.registers("FR")
    async with world.parts.database.transaction() as connection:
        (names,) = await connection.fetchrow(
            "SELECT string_agg(column_name, ', ') FROM information_schema.columns "
            "WHERE table_name = 'registrations' AND column_name <> 'registration_id'"
        ) or ("",)
        for table, columns in (("registrations", names), ("ledger", "at, subject, event, detail")):
            await connection.execute(
                f"INSERT INTO {table} (registration_id, {columns}) "
                f"SELECT 'r-1' || to_char(n, 'FM0000'), {columns} FROM {table}, generate_series(1, 2500) AS n "
                "WHERE registration_id = 'r-001'"
            )
    found, summary = await world.simulated(policy("FR", "DE"))
    assert (summary.looked_at, summary.different) == (2501, 2501)
    assert list(found) == sorted(found)


async def test_a_simulation_changes_nothing(world: World) -> None:
    await world.registers("FR")
    await world.mail_leaves(await world.registers("DE", "urs"))

    async def stored() -> list[str]:
        async with world.parts.database.transaction() as connection:
            tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            return [str(await connection.fetchval(f"SELECT json_agg(t) FROM {row['tablename']} t")) for row in tables]

    before = await stored()
    await world.simulated(policy("FR", "DE"))
    assert await stored() == before


# --- The command


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch, database_url: str, tmp_path: Path) -> Path:
    """A folder with two policies; the settings are in the environment."""
    for name, value in environment(database_url).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    regions = 'name = "%s"\n[regions]\ndouble_opt_in = ["FR"]\ndelayed_notice = ["DE"]\n'
    (tmp_path / "other.toml").write_text(regions % "other")
    (tmp_path / "invalid.toml").write_text(regions % "no name")
    return tmp_path


async def simulate(*words: str) -> tuple[int, str, str]:
    result = await asyncio.to_thread(
        CliRunner().invoke, app, ["policy", "simulate", *words], env={"COLUMNS": "160", "TERM": "dumb"}
    )
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.usefixtures("files")
async def test_the_command_shows_the_first_and_counts_all_by_what_they_were_and_would_be(world: World) -> None:
    for lead in ("lea", "urs", "kim"):
        await world.registers("FR", lead)
    await world.registers("DE", "eva")
    await world.registers("US", "jo")
    code, output, _ = await simulate("other.toml", "--show", "2")
    assert code == 0
    shown = (await world.parts.registrations.find("r-001")).registration
    assert re.search(r"^r-001 +FR +delayed_notice +double_opt_in *$", output, re.MULTILINE)
    assert re.search(rf"^{shown.subject} +delayed_notice_region +double_opt_in_region *$", output, re.MULTILINE)
    assert "r-002" in output
    assert "r-003" not in output
    assert "… and 2 more" in output
    assert re.search(r"^ +3  delayed_notice +double_opt_in *$", output, re.MULTILINE)
    assert re.search(r"^ +1  double_opt_in +delayed_notice *$", output, re.MULTILINE)
    assert "4 of 5 would be treated differently under other@" in output


@pytest.mark.usefixtures("files")
async def test_the_command_says_when_nobody_would_be_treated_differently(world: World) -> None:
    await world.registers("US")
    code, output, _ = await simulate("other.toml")
    assert (code, output.startswith("Nobody of 1 would be treated differently under other@")) == (0, True)


async def test_the_csv_has_all_of_them_with_ids_and_pseudonyms_and_no_personal_data(world: World, files: Path) -> None:
    await world.registers("FR", "lea", registered_by="ana@partner.example", company={"name": "Werk AG"})
    await world.registers("DE", "urs")
    code, _, _ = await simulate("other.toml", "--csv", "out.csv", "--show", "0")
    assert code == 0
    text = (files / "out.csv").read_text()
    first, second = csv.DictReader(io.StringIO(text))
    assert tuple(first) == COLUMNS
    assert first == {
        "registration_id": "r-001",
        "subject": (await world.parts.registrations.find("r-001")).registration.subject,
        "country": "FR",
        "registered_at": "2026-11-22T09:00:01+00:00",
        "was_policy_version": DEFAULT.version,
        "was_regime": "delayed_notice",
        "was_reason": "delayed_notice_region",
        "was_notice_due": "2026-12-22T09:00:01+00:00",
        "would_be_policy_version": read_policy(files / "other.toml").version,
        "would_be_regime": "double_opt_in",
        "would_be_reason": "double_opt_in_region",
        "would_be_notice_due": "",
    }
    assert second["would_be_notice_due"] == "2026-12-22T09:00:02+00:00"
    assert not re.search("lea|urs|muster|ana|werk|gmail|@partner|p-1", text, re.IGNORECASE)


@pytest.mark.usefixtures("files")
async def test_csv_on_standard_output_stands_there_alone(world: World) -> None:
    await world.registers("FR")
    code, output, errors = await simulate("other.toml", "--csv", "-")
    assert code == 0
    assert [row["registration_id"] for row in csv.DictReader(io.StringIO(output))] == ["r-001"]
    assert "1 of 1 would be treated differently" in errors


async def test_an_id_that_begins_like_a_formula_is_no_formula_in_the_csv(world: World, files: Path) -> None:
    await world.registers("FR", registration_id="-2")
    await simulate("other.toml", "--csv", "out.csv")
    (row,) = csv.DictReader(io.StringIO((files / "out.csv").read_text()))
    assert row["registration_id"] == "'-2"
    assert [as_cell(text) for text in ("=1", "+1", "@x", "\t=1", "\r=1", "r-1", "")] == [
        "'=1", "'+1", "'@x", "'\t=1", "'\r=1", "r-1", "",
    ]  # fmt: skip


async def test_a_csv_that_cannot_be_written_is_refused_in_words(world: World, files: Path) -> None:
    await world.registers("FR")
    code, _, errors = await simulate("other.toml", "--csv", str(files / "nowhere" / "out.csv"))
    assert code == 2
    assert "No such file or directory" in errors


@pytest.mark.usefixtures("files")
async def test_an_invalid_policy_is_refused_before_anything_is_written(files: Path) -> None:
    code, output, errors = await simulate("invalid.toml", "--csv", "out.csv")
    assert (code, output) == (1, "")
    assert "(at /name)" in errors
    assert not (files / "out.csv").exists()
