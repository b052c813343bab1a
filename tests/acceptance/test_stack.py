"""The whole service as a user starts and meets it: commands, a folder, HTTP and the mails in a Maildir."""

import mailbox
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from tests.acceptance.stack import Json, Stack, consentflow, link_in, running, text_of

MONTH = timedelta(days=30)

# ── The story of the 30 days ─────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Story:
    """Who was registered, and what held at each moment."""

    leads: dict[str, Json] = field(default_factory=dict)
    mails: dict[str, dict[str, int]] = field(default_factory=dict)
    states: dict[str, dict[str, str]] = field(default_factory=dict)

    def look(self, moment: str, stack: Stack) -> None:
        self.mails[moment] = {name: len(stack.mails(lead)) for name, lead in self.leads.items()}
        self.states[moment] = {name: stack.state(lead) for name, lead in self.leads.items()}


@pytest.fixture(scope="module")
def story(skipping: Stack) -> Story:
    """Every regime, everything that can come between, and a year."""
    stack, story = skipping, Story()
    early = {"contact": {"email": "early@firma.example"}}
    assert stack.event("contact.email_verified", early).status_code == 202
    story.leads = {
        "german": stack.register("DE"),
        "swiss who confirms": stack.register("Schweiz"),
        "austrian who verified before": stack.register("AT", **early),
        "german who fills a form": stack.register("DEU"),
        "french": stack.register("France"),
        "nowhere": stack.register(None),
        "spaniard who opts in": stack.register("ES"),
        "italian who fills a form": stack.register("it"),
        "pole who objects": stack.register("PL"),
        "american": stack.register("US"),
        "swede who turns out german": stack.register("SE"),
    }
    by_another = {**story.leads["german"], "registration_id": "a-again", "partner_id": "p-again", "company": {}}
    assert stack.call("POST", "/v1/registrations", json=by_another).status_code == 202
    story.leads["german again"] = by_another
    for name in ("german", "german again", "swiss who confirms", "german who fills a form"):
        stack.settles(story.leads[name], "awaiting_confirmation")
    story.look("at once", stack)

    stack.advance("P10D")
    link = link_in(stack.mail(story.leads["swiss who confirms"]), "confirm")
    assert httpx.get(link).status_code == 200
    story.look("page looked at", stack)
    assert httpx.post(link).status_code == 200
    for name, kind in {
        "german who fills a form": "contact.form_submitted",
        "spaniard who opts in": "contact.opted_in",
        "italian who fills a form": "contact.form_submitted",
        "pole who objects": "contact.objected",
    }.items():
        assert stack.event(kind, story.leads[name]).json()["accepted"] == 1
    correction = f"/v1/registrations/{story.leads['swede who turns out german']['registration_id']}"
    assert stack.call("PATCH", correction, json={"country": "DE"}).status_code == 200
    stack.settles(story.leads["swede who turns out german"], "awaiting_confirmation")
    story.look("day 10", stack)
    stack.advance("P19DT23H")
    story.look("day 29, 23 h", stack)
    stack.advance("PT2H")
    story.look("day 30, 1 h", stack)
    stack.advance("P365D")
    story.look("a year later", stack)
    return story


def test_a_german_lead_is_asked_at_once(story: Story) -> None:
    assert story.mails["at once"]["german"] == 1
    assert story.states["at once"]["german"] == "awaiting_confirmation"


def test_a_mailbox_that_two_partners_register_is_asked_once(story: Story) -> None:
    assert story.mails["a year later"]["german again"] == 1  # counted by mailbox
    assert story.states["at once"]["german again"] == "awaiting_confirmation"


def test_a_lead_that_verified_its_address_before_is_not_asked(story: Story) -> None:
    assert story.mails["a year later"]["austrian who verified before"] == 0
    assert story.states["at once"]["austrian who verified before"] == "confirmed"


def test_nobody_else_is_mailed_at_once(story: Story) -> None:
    asked = {"german", "german again", "swiss who confirms", "german who fills a form"}
    assert {name for name, mails in story.mails["at once"].items() if mails} == asked


def test_looking_at_the_page_confirms_nothing(story: Story) -> None:
    assert story.states["page looked at"]["swiss who confirms"] == "awaiting_confirmation"


def test_pressing_the_button_confirms(story: Story) -> None:
    assert story.states["day 10"]["swiss who confirms"] == "confirmed"


def test_a_form_does_not_replace_the_double_opt_in(story: Story) -> None:
    assert story.states["day 10"]["german who fills a form"] == "awaiting_confirmation"


@pytest.mark.parametrize("name", ["spaniard who opts in", "italian who fills a form"])
def test_a_lead_that_knows_in_time_gets_no_notice(story: Story, name: str) -> None:
    assert story.states["day 10"][name] == "satisfied"
    assert story.mails["a year later"][name] == 0


def test_a_lead_that_objected_is_never_mailed(story: Story) -> None:
    assert story.states["day 10"]["pole who objects"] == "suppressed"
    assert story.mails["a year later"]["pole who objects"] == 0


def test_a_location_corrected_to_germany_is_asked_then(story: Story) -> None:
    assert story.mails["at once"]["swede who turns out german"] == 0
    assert story.mails["day 10"]["swede who turns out german"] == 1


@pytest.mark.parametrize("name", ["french", "nowhere"])
def test_the_notice_leaves_after_30_days_and_not_before(story: Story, name: str) -> None:
    assert story.mails["day 29, 23 h"][name] == 0
    assert story.states["day 29, 23 h"][name] == "waiting"
    assert story.mails["day 30, 1 h"][name] == 1
    assert story.states["day 30, 1 h"][name] == "notified"


def test_a_lead_outside_the_eu_is_never_mailed(story: Story) -> None:
    assert story.states["at once"]["american"] == story.states["a year later"]["american"] == "no_contact"
    assert story.mails["a year later"]["american"] == 0


@pytest.mark.parametrize("name", ["german", "german again", "german who fills a form"])
def test_a_question_that_nobody_answers_lapses_after_30_days(story: Story, name: str) -> None:
    assert story.states["day 29, 23 h"][name] == "awaiting_confirmation"
    assert story.states["day 30, 1 h"][name] == "lapsed"


def test_nobody_is_mailed_twice_in_a_year(story: Story) -> None:
    assert max(story.mails["a year later"].values()) == 1


def test_a_mail_never_names_who_registered_the_lead(story: Story, skipping: Stack) -> None:
    for lead in story.leads.values():
        for mail in skipping.mails(lead):
            assert "partner.example" not in mail.as_string() + text_of(mail) + text_of(mail, "html")
            assert lead["partner_id"] not in text_of(mail) + text_of(mail, "html")


def test_the_timeline_tells_why_the_notice_left(story: Story, skipping: Stack) -> None:
    found = skipping.registration(story.leads["french"])
    assert found["regime"] == "delayed_notice"
    assert found["timeline"][0]["event"] == "decided"
    assert {"mail_frozen", "mail_accepted", "notified"} <= {entry["event"] for entry in found["timeline"]}


# ── Repeats and conflicts ────────────────────────────────────────────────────────────────────────────────────────


def test_the_same_registration_again_is_answered_with_what_stands(real: Stack) -> None:
    request = real.register("FR")
    before = real.registration(request)
    again = real.call("POST", "/v1/registrations", role="registrar", json=request)
    assert (again.status_code, again.json()) == (200, before)


def test_the_same_id_with_other_content_is_a_conflict(real: Stack) -> None:
    request = real.register("FR")
    other = real.call("POST", "/v1/registrations", role="registrar", json=request | {"country": "DE"})
    assert (other.status_code, other.json()["code"]) == (409, "registration_conflict")
    assert real.registration(request)["country"] == "FR"


def test_ten_repeats_at_once_are_one_registration_and_one_mail(real: Stack) -> None:
    request = real.register("DE")
    with ThreadPoolExecutor(10) as pool:
        answers = list(
            pool.map(lambda _: real.call("POST", "/v1/registrations", role="registrar", json=request), range(10))
        )
    assert {answer.status_code for answer in answers} == {200}
    real.settles(request, "awaiting_confirmation")
    assert len(real.mails(request)) == 1


def test_an_import_from_more_than_30_days_ago_is_notified_at_once(real: Stack) -> None:
    request = real.register("FR", registered_at=(datetime.now(UTC) - timedelta(days=31)).isoformat())
    real.mail(request)
    real.settles(request, "notified")


# ── What the stack offers ────────────────────────────────────────────────────────────────────────────────────────


def test_dev_json_says_where_everything_is(real: Stack) -> None:
    assert set(real.info) == {"api", "keys", "maildir", "postgres", "temporal", "temporal_ui"}
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", real.info["api"])
    assert set(real.info["keys"]) == {"registrar", "tracker", "officer", "admin"}
    assert real.info["maildir"] == str(real.data / "mail")
    assert real.info["postgres"].startswith("postgresql://")
    assert re.fullmatch(r"127\.0\.0\.1:\d+", real.info["temporal"])
    assert httpx.get(real.info["temporal_ui"], follow_redirects=True).status_code == 200


@pytest.mark.parametrize("file", ["dev.json", "secrets.json"])
def test_only_the_owner_can_read_the_files_with_keys(real: Stack, file: str) -> None:
    assert stat.S_IMODE((real.data / file).stat().st_mode) == 0o600


def test_a_stack_in_real_time_has_no_clock_to_move(real: Stack) -> None:
    assert real.call("POST", "/dev/clock", json={"advance": "P1D"}).status_code == 404


@pytest.mark.parametrize("role", [None, "registrar", "tracker", "officer"])
def test_only_an_admin_moves_the_clock(skipping: Stack, role: str | None) -> None:
    answer = skipping.call("POST", "/dev/clock", role=role, json={"advance": "P1D"})
    assert answer.status_code == (401 if role is None else 403)


def test_the_maildir_has_the_standard_format(real: Stack) -> None:
    request = real.register("DE")
    real.mail(request)
    folder = Path(real.info["maildir"])
    assert all((folder / each).is_dir() for each in ("new", "cur", "tmp"))
    box = mailbox.Maildir(folder, create=False)
    assert len(box) == len(list((folder / "new").iterdir()))
    found = [message for message in box if request["contact"]["email"] in message["To"]]
    assert [message.get_content_type() for message in found] == ["multipart/alternative"]


def test_the_mailbox_page_lists_every_mail_and_shows_each(real: Stack) -> None:
    request = real.register("DE")
    mail = real.mail(request)
    page = real.call("GET", "/dev/mailbox", role=None).text
    listed = re.search(rf'href="(/dev/mailbox/[^"]+)"(?:(?!href).)*{request["contact"]["email"]}', page, re.DOTALL)
    assert listed
    link = link_in(mail, "confirm")
    assert link in real.call("GET", listed[1], role=None).text
    assert link in real.call("GET", f"{listed[1]}/html", role=None).text
    assert str(mail["Message-ID"]) in real.call("GET", f"{listed[1]}/source", role=None).text


def test_a_mail_that_is_not_there_has_no_page(real: Stack) -> None:
    assert real.call("GET", "/dev/mailbox/nothing", role=None).status_code == 404


# ── Stopping and starting again ──────────────────────────────────────────────────────────────────────────────────


def test_what_waits_comes_due_on_time_after_a_restart(folder: Path) -> None:
    with running(folder) as first:
        waiting = first.register("FR")
        due_meanwhile = datetime.now(UTC) - MONTH + timedelta(seconds=5)
        due = first.register("FR", registered_at=due_meanwhile.isoformat())
        asked = first.register("DE")
        first.settles(asked, "awaiting_confirmation")
        assert first.state(due) == "waiting"
    assert not (first.data / "dev.json").exists()
    with running(folder) as second:
        assert second.info["keys"] == first.info["keys"]
        second.mail(due)
        second.settles(due, "notified")
        assert second.state(waiting) == "waiting"
        assert second.registration(asked)["timeline"] != []
        assert [len(second.mails(lead)) for lead in (waiting, due, asked)] == [0, 1, 1]
        assert httpx.get(rewritten(link_in(second.mail(asked), "confirm"), second)).status_code == 200


def test_ctrl_c_stops_the_stack_in_good_order(folder: Path) -> None:
    with running(folder) as stack:
        request = stack.register("DE")
        stack.settles(request, "awaiting_confirmation")
        assert stack.interrupt() == 0, stack.said()
    assert not (stack.data / "dev.json").exists()


def test_a_moved_clock_and_what_waits_for_it_survive_a_restart(folder: Path) -> None:
    with running(folder, "--time-skipping") as first:
        waiting, asked = first.register("FR"), first.register("DE")
        first.settles(asked, "awaiting_confirmation")
        first.advance("P10D")
    with running(folder, "--time-skipping") as second:
        assert (second.state(waiting), second.state(asked)) == ("waiting", "awaiting_confirmation")
        second.advance("P19DT23H")
        assert (second.state(waiting), second.state(asked)) == ("waiting", "awaiting_confirmation")
        second.advance("PT2H")
        assert (second.state(waiting), second.state(asked)) == ("notified", "lapsed")
        assert len(second.mails(waiting)) == 1


def rewritten(link: str, stack: Stack) -> str:
    """A link of an earlier run: its port was any free one."""
    return re.sub(r"^http://[^/]+", stack.info["api"], link)


def test_a_second_stack_on_the_same_folder_is_refused(real: Stack, folder: Path) -> None:
    refused = consentflow("dev", "--data-dir", str(real.data), "--port", "0", folder=folder)
    assert refused.returncode == 1
    assert f"another stack is running on {real.data}" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert (real.data / "dev.json").exists()
    assert real.call("GET", "/readyz", role=None).status_code == 200


def test_a_port_that_is_taken_is_refused_by_name(real: Stack, folder: Path) -> None:
    port = real.info["api"].rpartition(":")[2]
    refused = consentflow("dev", "--data-dir", "data", "--port", port, folder=folder)
    assert refused.returncode == 1
    assert f"port {port} is taken" in refused.stderr
    assert "Traceback" not in refused.stderr


# ── The other commands ───────────────────────────────────────────────────────────────────────────────────────────


def test_the_demo_tells_the_story_in_under_a_minute_as_the_policy_says(folder: Path) -> None:
    told = consentflow("demo", folder=folder, seconds=60)
    assert told.returncode == 0, told.stderr
    assert told.stdout.splitlines()[-1].endswith("each as the policy says.")
    assert list(folder.iterdir()) == []


def settings_of(stack: Stack) -> dict[str, str]:
    """What an operator would write into .env to use the stack's database."""
    return {
        "CONSENTFLOW_DATABASE_URL": stack.info["postgres"],
        "CONSENTFLOW_SECRET_KEY": "a-secret-that-is-long-enough-for-this",
        "CONSENTFLOW_PUBLIC_URL": stack.info["api"],
        "CONSENTFLOW_MAIL__FROM": "privacy@controller.example",
        "CONSENTFLOW_CONTROLLER__NAME": "Controller AG",
        "CONSENTFLOW_CONTROLLER__ADDRESS": "Teststraße 1, 10115 Berlin",
        "CONSENTFLOW_CONTROLLER__EMAIL": "hello@controller.example",
        "CONSENTFLOW_CONTROLLER__DPO_EMAIL": "dpo@controller.example",
        "CONSENTFLOW_CONTROLLER__PRIVACY_POLICY_URL": "https://controller.example/privacy",
        "CONSENTFLOW_CONTROLLER__PRIVACY_POLICY_VERSION": "1",
        "CONSENTFLOW_CONTROLLER__SUPERVISORY_AUTHORITY": "Authority",
    }


@pytest.fixture
def configured(real: Stack, folder: Path) -> Path:
    """A folder whose .env leads to the running stack's database."""
    lines = (f"{name}='{value}'\n" for name, value in settings_of(real).items())
    (folder / ".env").write_text("".join(lines), encoding="utf-8")
    return folder


def test_explain_says_why_a_mail_left(real: Stack, configured: Path) -> None:
    request = real.register("DE")
    real.settles(request, "awaiting_confirmation")
    shown = consentflow("explain", request["registration_id"], folder=configured)
    assert shown.returncode == 0, shown.stderr
    for word in ("awaiting_confirmation", "double_opt_in_region", "firma-", "decided", "mail_accepted", "asked"):
        assert word in shown.stdout
    assert request["contact"]["email"] not in shown.stdout


def test_explaining_what_is_not_there_says_so(configured: Path) -> None:
    shown = consentflow("explain", "nobody", folder=configured)
    assert (shown.returncode, shown.stderr.strip()) == (1, "There is no registration nobody.")


def test_a_created_key_opens_what_its_role_opens(real: Stack, configured: Path) -> None:
    made = consentflow("keys", "create", "--role", "tracker", "--name", "the site", folder=configured)
    assert made.returncode == 0, made.stderr
    key = {"Authorization": f"Bearer {made.stdout.strip()}"}
    assert real.call("POST", "/v1/events", role=None, headers=key, json=[]).status_code == 202
    assert real.call("GET", "/v1/registrations/nobody", role=None, headers=key).status_code == 403


def test_a_key_of_the_same_name_is_refused(configured: Path) -> None:
    first, second = (
        consentflow("keys", "create", "--role", "officer", "--name", "Olga", folder=configured) for _ in range(2)
    )
    assert (first.returncode, second.returncode) == (0, 1)
    assert "name" in second.stderr
    assert "Traceback" not in second.stderr


def test_migrating_again_changes_nothing(configured: Path) -> None:
    for _ in range(2):
        done = consentflow("migrate", folder=configured)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [["api"], ["worker"], ["migrate"], ["explain", "r-1"]])
def test_a_missing_setting_stops_the_start_and_is_named(folder: Path, real: Stack, command: list[str]) -> None:
    settings = settings_of(real)
    del settings["CONSENTFLOW_SECRET_KEY"]
    stopped = consentflow(*command, folder=folder, settings=settings)
    assert stopped.returncode == 1
    assert "CONSENTFLOW_SECRET_KEY" in stopped.stderr
    assert "Traceback" not in stopped.stderr


def test_without_any_settings_all_that_are_needed_are_named(folder: Path) -> None:
    stopped = consentflow("api", folder=folder)
    assert stopped.returncode == 1
    for name in ("DATABASE_URL", "SECRET_KEY", "PUBLIC_URL", "MAIL__FROM", "CONTROLLER__NAME"):
        assert f"CONSENTFLOW_{name}" in stopped.stderr
