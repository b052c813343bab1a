"""What docker-compose.yml, .env.example and the Dockerfile promise; no engine is needed to read them."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import pytest
import yaml
from pydantic import BaseModel

from consentflow.calls import SEARCH_ATTRIBUTES
from consentflow.settings import Settings
from consentflow.worker import DRAIN

ROOT = Path(__file__).parents[2]
PREFIX = "CONSENTFLOW_"
COMPOSE_FILE = ROOT / "docker-compose.yml"
EXAMPLE = (ROOT / ".env.example").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
LONG_RUNNING = {"api", "worker", "postgres", "temporal", "temporal-ui", "mailpit", "prometheus", "grafana"}
ONE_SHOTS = {"migrate", "temporal-schema", "temporal-namespace"}
OURS = ("api", "worker", "migrate")

REQUIRED = re.compile(r"\$\{(\w+):\?")
SECRET_NAME = re.compile(r"PASSWORD|PWD|SECRET|API_KEY|TOKEN")

FILLED = {
    "POSTGRES_PASSWORD": "dummy",
    "CONSENTFLOW_SECRET_KEY": "x" * 64,
    "CONSENTFLOW_PUBLIC_URL": "https://privacy.controller.example",
    "CONSENTFLOW_DATABASE_URL": "postgresql://consentflow@postgres:5432/consentflow",
    "CONSENTFLOW_SMTP__HOST": "mail.controller.example",
    "CONSENTFLOW_MAIL__FROM": "privacy@controller.example",
    "CONSENTFLOW_CONTROLLER__NAME": "'Controller Test AG'",
    "CONSENTFLOW_CONTROLLER__ADDRESS": "'Teststraße 1 # 2, 10115 Berlin'",
    "CONSENTFLOW_CONTROLLER__EMAIL": "hello@controller.example",
    "CONSENTFLOW_CONTROLLER__DPO_EMAIL": "dpo@controller.example",
    "CONSENTFLOW_CONTROLLER__PRIVACY_POLICY_URL": "https://controller.example/privacy",
    "CONSENTFLOW_CONTROLLER__PRIVACY_POLICY_VERSION": "2026-11",
    "CONSENTFLOW_CONTROLLER__SUPERVISORY_AUTHORITY": "'Test Authority'",
}


def settings_of(model: type[BaseModel], prefix: str = PREFIX) -> Iterator[tuple[str, bool]]:
    """Every setting as an environment variable, and whether it must be given."""
    for name, field in model.model_fields.items():
        variable = prefix + (field.alias or name).upper()
        annotation = field.annotation
        options = get_args(annotation) if get_origin(annotation) in {Union, UnionType} else (annotation,)
        groups = [each for each in options if isinstance(each, type) and issubclass(each, BaseModel)]
        for group in groups:
            optional_group = type(None) in options  # what it needs is needed only once it is used
            for inner, needed in settings_of(group, f"{variable}__"):
                yield inner, needed and not optional_group
        if not groups:
            yield variable, field.is_required()


ALL_SETTINGS = dict(settings_of(Settings))


def example_lines(*, optional: bool) -> dict[str, str]:
    """What .env.example sets, or what it only shows behind a comment sign."""
    pattern = r"^# ([A-Z][A-Z_]+)=(.*)$" if optional else r"^([A-Z][A-Z_]+)=(.*)$"
    return dict(re.findall(pattern, EXAMPLE, re.MULTILINE))


def filled_example(*, without: str | None = None) -> str:
    """.env.example with a value in every line that a person must fill in."""
    return re.sub(
        r"^([A-Z_]+)=$",
        lambda line: line[0] + ("" if line[1] == without else FILLED[line[1]]),
        EXAMPLE,
        flags=re.MULTILINE,
    )


def compose_command() -> list[str]:
    """Compose on this machine: the plugin of the docker command, or the command of its own."""
    if shutil.which("docker"):
        plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
        if plugin.returncode == 0:
            return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    missing = "there is neither `docker compose` nor `docker-compose` here"
    if os.environ.get("CONSENTFLOW_TESTS_MUST_NOT_SKIP"):
        pytest.fail(missing)
    pytest.skip(missing)


def compose_config(tmp_path: Path, env: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What Compose makes of the file with these settings and none from the environment."""
    env_file = tmp_path / "env"
    env_file.write_text(env)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith((PREFIX, "COMPOSE_", "POSTGRES_", "TEMPORAL_", "MAILPIT_", "PROMETHEUS_", "GRAFANA_"))
    }
    return subprocess.run(
        [*compose_command(), "-f", str(COMPOSE_FILE), "--env-file", str(env_file), "config", *arguments],
        capture_output=True,
        text=True,
        env=kept,
        check=False,
    )


def texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for each in value.values():
            yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)
    elif isinstance(value, str):
        yield value


def environments() -> Iterator[tuple[str, str, str | None]]:
    """Service, variable and value of every environment in docker-compose.yml."""
    for service, definition in SERVICES.items():
        for name, value in definition.get("environment", {}).items():
            yield service, name, value


def seconds(duration: str) -> float:
    amount, unit = re.fullmatch(r"(\d+)(s|m)", duration).groups()  # type: ignore[union-attr]
    return float(amount) * {"s": 1, "m": 60}[unit]


# --- Compose


def test_compose_accepts_the_file_when_what_is_required_is_filled_in(tmp_path: Path) -> None:
    answer = compose_config(tmp_path, filled_example())

    assert answer.returncode == 0, answer.stderr
    for service in ("api", "worker", "migrate", "temporal", "postgres"):
        assert f"  {service}:\n" in answer.stdout


@pytest.mark.parametrize("missing", ["CONSENTFLOW_SECRET_KEY", "POSTGRES_PASSWORD"])
def test_compose_refuses_to_start_without_a_secret_and_names_it(tmp_path: Path, missing: str) -> None:
    answer = compose_config(tmp_path, filled_example(without=missing), "--quiet")

    assert answer.returncode != 0
    assert f"set {missing} in .env" in answer.stderr


def test_every_line_to_fill_in_is_one_that_compose_insists_on() -> None:
    insisted = {name for text in texts(COMPOSE) for name in REQUIRED.findall(text)}
    assert {name for name, value in example_lines(optional=False).items() if not value} == insisted


def test_compose_insists_on_every_setting_that_has_no_default_but_the_database_it_brings_itself() -> None:
    environment = SERVICES["api"]["environment"]
    required = {name for name, needed in ALL_SETTINGS.items() if needed} - {"CONSENTFLOW_DATABASE_URL"}
    assert {name for name in required if not REQUIRED.match(environment[name] or "")} == set()


@pytest.mark.parametrize("service", OURS)
def test_no_setting_is_kept_from_the_processes(service: str) -> None:
    given = {name for name in SERVICES[service]["environment"] if name.startswith(PREFIX)}
    assert given == set(ALL_SETTINGS)


def test_compose_speaks_of_no_setting_that_does_not_exist() -> None:
    assert set(re.findall(rf"\b{PREFIX}\w+", COMPOSE_FILE.read_text())) <= set(ALL_SETTINGS)


def test_there_is_no_secret_in_the_compose_file() -> None:
    literal = [
        (service, name)
        for service, name, value in environments()
        if SECRET_NAME.search(name) and value is not None and not re.fullmatch(r"\$\{\w+:\?[^}]*\}", value)
    ]
    assert literal == []
    assert not re.search(r"://[^\s/@]*:[^\s/@]*@", COMPOSE_FILE.read_text())


def test_every_service_is_known_to_these_tests() -> None:
    assert set(SERVICES) == LONG_RUNNING | ONE_SHOTS


@pytest.mark.parametrize("service", sorted(LONG_RUNNING))
def test_what_runs_on_has_a_health_check_and_comes_back(service: str) -> None:
    assert SERVICES[service]["healthcheck"]["test"][0] == "CMD"
    assert SERVICES[service]["restart"] == "unless-stopped"


@pytest.mark.parametrize("service", sorted(ONE_SHOTS))
def test_what_runs_once_is_not_started_again(service: str) -> None:
    assert SERVICES[service]["restart"] == "no"


def test_one_shots_are_waited_for_until_they_succeed_and_the_others_until_they_are_healthy() -> None:
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if needed in ONE_SHOTS else "service_healthy"
            assert how == {"condition": expected}, f"{name} waits for {needed}"
    assert "migrate" in SERVICES["api"]["depends_on"]
    assert {"migrate", "temporal-namespace"} == set(SERVICES["worker"]["depends_on"])


def test_accepting_needs_neither_temporal_nor_a_mail_server() -> None:
    assert set(SERVICES["api"]["depends_on"]) == {"migrate"}
    assert set(SERVICES["migrate"]["depends_on"]) == {"postgres"}


def test_workers_can_be_multiplied() -> None:
    assert {"ports", "container_name", "hostname"}.isdisjoint(SERVICES["worker"])


def test_workers_are_given_the_time_to_finish_what_is_in_flight_on_both_queues() -> None:
    assert seconds(SERVICES["worker"]["stop_grace_period"]) >= 2 * DRAIN.total_seconds() + 10


def test_ports_are_published_on_the_loopback_interface_only() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"api", "temporal-ui", "mailpit", "prometheus", "grafana"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


@pytest.mark.parametrize("service", OURS)
def test_our_processes_cannot_change_their_image_and_gain_no_rights(service: str) -> None:
    definition = SERVICES[service]
    assert definition["read_only"] is True
    assert definition["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in definition["security_opt"]


def test_images_of_others_are_pinned_to_a_version() -> None:
    images = {name: service["image"] for name, service in SERVICES.items() if "image" in service}
    assert set(images) == set(SERVICES) - set(OURS)
    for name, image in images.items():
        assert re.search(r":v?\d+\.\d+", image), f"{name}: {image}"
    assert images["temporal-schema"] == images["temporal-namespace"]
    assert images["temporal-schema"].rpartition(":")[2] == images["temporal"].rpartition(":")[2]


def test_the_files_that_are_mounted_exist() -> None:
    mounted = [volume for service in SERVICES.values() for volume in service.get("volumes", [])]
    sources = [volume.partition(":")[0] for volume in mounted if volume.startswith(".")]
    assert sources
    assert [source for source in sources if not (ROOT / source).is_file()] == []


def test_the_namespace_gets_the_search_attributes_that_the_relay_sets() -> None:
    script = (ROOT / "deploy/temporal/namespace.sh").read_text()
    made = dict(re.findall(r"--name (\w+) --type (\w+)", script))
    assert made == {
        key.name: "Datetime" if key.value_type.__name__ == "datetime" else "Keyword" for key in SEARCH_ATTRIBUTES
    }


def test_prometheus_and_grafana_run_only_when_they_are_asked_for(tmp_path: Path) -> None:
    answer = compose_config(tmp_path, filled_example() + "COMPOSE_PROFILES=observability\n")

    assert answer.returncode == 0, answer.stderr
    for service in ("prometheus", "grafana"):
        assert f"  {service}:\n" in answer.stdout
        assert SERVICES[service]["profiles"] == ["observability"]


def test_whoever_reaches_the_dashboard_may_look_and_change_nothing() -> None:
    environment = SERVICES["grafana"]["environment"]
    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert environment["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"


# --- .env.example


def test_the_example_lists_every_setting_once() -> None:
    listed = re.findall(rf"^(?:# )?({PREFIX}\w+)=", EXAMPLE, re.MULTILINE)
    assert sorted(listed) == sorted(ALL_SETTINGS)


def test_the_example_speaks_of_no_setting_that_does_not_exist() -> None:
    assert set(re.findall(rf"\b{PREFIX}\w+", EXAMPLE)) - {PREFIX} <= set(ALL_SETTINGS)


def test_the_example_sets_nothing() -> None:
    assert set(example_lines(optional=False).values()) == {""}


def test_a_filled_in_example_makes_valid_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    database = f"CONSENTFLOW_DATABASE_URL={FILLED['CONSENTFLOW_DATABASE_URL']}\n"
    (tmp_path / ".env").write_text(filled_example() + database)

    settings = Settings()

    assert settings.controller.address == "Teststraße 1 # 2, 10115 Berlin"
    assert settings.smtp.host == "mail.controller.example"


def test_the_example_shows_the_defaults_that_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    database = f"CONSENTFLOW_DATABASE_URL={FILLED['CONSENTFLOW_DATABASE_URL']}\n"
    shown = {name: value for name, value in example_lines(optional=True).items() if value and name.startswith(PREFIX)}
    (tmp_path / ".env").write_text(filled_example() + database)
    without = Settings()
    (tmp_path / ".env").write_text(
        filled_example() + database + "".join(f"{name}={value}\n" for name, value in shown.items())
    )

    assert Settings() == without


# --- The image


def test_the_image_installs_what_is_locked_and_runs_as_nobody_in_particular() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    for lock in ("requirements/run.txt", "requirements/build.txt"):
        assert f"--only-binary :all: --require-hashes -r {lock}" in dockerfile
    assert re.search(r"^USER \d+:\d+$", dockerfile, re.MULTILINE)
    assert dockerfile.rstrip().splitlines()[-2] == 'ENTRYPOINT ["consentflow"]'


def test_the_image_is_built_with_the_tools_that_the_tests_are_run_with() -> None:
    build, dev = (
        set(re.findall(r"^(\S+==\S+)", (ROOT / "requirements" / name).read_text(), re.MULTILINE))
        for name in ("build.txt", "dev.txt")
    )
    assert any(each.startswith("hatchling==") for each in build)
    assert build <= dev


def test_secrets_do_not_get_into_the_image() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    assert not [line for line in ignored if line.startswith("!") and ".env" in line]
