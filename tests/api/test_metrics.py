"""What the processes tell of themselves: counted once it is committed, by labels that name nobody."""

import asyncio
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import asyncpg
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from consentflow.domain.errors import RecipientRefused, TransientFailure
from consentflow.domain.letters import Language, LetterKind
from consentflow.domain.sign_in import Door
from consentflow.neighbours import connect_temporal
from consentflow.operations import backlog
from consentflow.runtime import Parts
from consentflow.settings import InvalidSettings, TemporalSettings
from consentflow.storage.mails import StoredMail
from consentflow.storage.pool import after_commit
from consentflow.worker import telling_metrics

if TYPE_CHECKING:
    from tests.api.conftest import Api
    from tests.conftest import HandClock

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read(text: str) -> Series:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def told(api: "Api") -> Series:
    return read((await api.client.get("/metrics")).text)


def value(series: Series, name: str, **labels: str) -> float:
    return series.get((f"consentflow_{name}", frozenset(labels.items())), 0)


class Growth:
    """What counters grew by since this was made."""

    def __init__(self, before: Series, after: Series) -> None:
        self._before, self._after = before, after

    def of(self, name: str, **labels: str) -> float:
        return value(self._after, name, **labels) - value(self._before, name, **labels)


async def test_a_registration_counts_once_for_every_state_that_it_comes_to(api: "Api") -> None:
    before = await told(api)
    assert (await api.register()).status_code == 202
    assert (await api.register()).status_code == 200  # the same again
    links = await api.mail_leaves()
    await api.client.post(links["confirm"])
    grown = Growth(before, await told(api))
    for state in ("accepted", "awaiting_confirmation", "confirmed"):
        assert (state, grown.of("registrations_total", regime="double_opt_in", state=state)) == (state, 1)
    assert grown.of("mails_total", purpose="double_opt_in", outcome="accepted") == 1
    assert grown.of("mails_unsure_total") == 0


async def test_every_way_a_mail_can_go_is_counted(api: "Api") -> None:
    before, sending = await told(api), api.parts.sending
    await api.register()
    mail = await begun(api)
    await sending.postponed(mail.mail_id, TransientFailure("451 4.7.1"))
    mail = await begun(api)
    assert await sending.unsure(mail.mail_id, "no answer") is None
    mail = await begun(api)  # again, with no end known of the last attempt
    await sending.refused(mail.mail_id, RecipientRefused("550 5.1.1"))
    grown = Growth(before, await told(api))
    assert grown.of("mails_postponed_total") == 1
    assert grown.of("mails_unsure_total") == 1
    assert grown.of("mails_total", purpose="double_opt_in", outcome="refused") == 1
    assert grown.of("registrations_total", regime="double_opt_in", state="undeliverable") == 1


async def test_a_mail_that_is_not_wanted_any_more_counts_as_dropped(api: "Api") -> None:
    before, sending = await told(api), api.parts.sending
    await api.register()
    mail = await begun(api)
    await sending.postponed(mail.mail_id, TransientFailure("451 4.7.1"))
    assert (await api.call("DELETE", "/v1/registrations/r-1")).status_code == 200
    grown = Growth(before, await told(api))
    assert grown.of("mails_total", purpose="double_opt_in", outcome="dropped") == 1
    assert grown.of("registrations_total", regime="double_opt_in", state="withdrawn") == 1


async def test_signing_in_is_counted_by_door_and_step(api: "Api") -> None:
    before = await told(api)
    asked = await api.parts.sessions.ask(Door.CONSOLE, "nobody@controller.example", Language.ENGLISH)
    assert await api.parts.sessions.answer(asked) is None
    grown = Growth(before, await told(api))
    steps = {step: grown.of("sign_ins_total", door="console", step=step) for step in ("asked", "mailed", "entered")}
    assert steps == {"asked": 1, "mailed": 0, "entered": 0}


async def test_what_was_rolled_back_counts_for_nothing(parts: Parts) -> None:
    calls: list[str] = []
    with suppress(RuntimeError):
        async with parts.database.transaction():
            after_commit(lambda: calls.append("rolled back"))
            raise RuntimeError
    async with parts.database.transaction():
        after_commit(lambda: calls.append("committed"))
        async with parts.database.transaction():
            after_commit(lambda: calls.append("inside, on a connection of its own"))
        after_commit(lambda: calls.append("committed as well"))
        assert calls == ["inside, on a connection of its own"]
    after_commit(lambda: calls.append("nowhere"))
    assert calls == ["inside, on a connection of its own", "committed", "committed as well"]


async def test_a_commit_that_fails_counts_for_nothing(parts: Parts) -> None:
    calls: list[int] = []

    async def one() -> None:
        async with parts.database.transaction() as connection:
            await connection.execute(
                "CREATE TEMP TABLE doubt (n int UNIQUE DEFERRABLE INITIALLY DEFERRED) ON COMMIT DROP"
            )
            await connection.execute("INSERT INTO doubt VALUES (1), (1)")
            after_commit(lambda: calls.append(1))

    with pytest.raises(asyncpg.UniqueViolationError):
        await one()
    assert calls == []


async def test_transactions_of_different_tasks_do_not_count_for_each_other(parts: Parts) -> None:
    calls: list[int] = []

    async def work(number: int) -> None:
        async with parts.database.transaction() as connection:
            await connection.execute("SELECT 1")
            after_commit(lambda: calls.append(number))
            if number % 2:
                raise RuntimeError

    await asyncio.gather(*(work(number) for number in range(20)), return_exceptions=True)
    assert sorted(calls) == list(range(0, 20, 2))


async def test_what_waits_and_what_becomes_due_is_counted_by_kind(
    api: "Api", clock: "HandClock", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "KEPT", backlog.KEPT * 0)
    monkeypatch.setattr(backlog, "SHARE", 0)
    await api.register("r-1", country="FR")
    await api.register("r-2", email="kai@firma.example")
    await api.mail_leaves("r-2")
    series = await told(api)
    assert (value(series, "open", kind="mail"), value(series, "open", kind="question")) == (1, 1)
    assert value(series, "due_within_day", kind="mail") == 0
    clock.pass_time(days=29, hours=1)
    assert value(await told(api), "due_within_day", kind="mail") == 1


async def test_counting_what_may_be_long_is_not_done_at_every_scrape(api: "Api") -> None:
    assert value(await told(api), "open", kind="mail") == 0
    await api.register(country="FR")
    series = await told(api)
    assert value(series, "open", kind="mail") == 0  # as it was less than a minute ago
    assert value(series, "outbox_messages") == 1  # this is read each time


async def test_counting_what_waits_reads_no_registration_that_has_come_to_its_end(api: "Api") -> None:
    async with api.parts.database.transaction() as connection:
        await connection.execute("SET LOCAL enable_seqscan = off")
        for table, index in (("registrations", "registrations_due"), ("questions", "questions_closing")):
            condition = "state IN ('accepted', 'waiting')" if table == "registrations" else "outcome IS NULL"
            plan = await connection.fetch(f"EXPLAIN SELECT count(*) FROM {table} WHERE {condition}")
            assert index in "\n".join(row[0] for row in plan)


async def test_how_long_the_oldest_is_overdue_can_be_told(api: "Api", clock: "HandClock") -> None:
    assert value(await told(api), "overdue_oldest_timestamp_seconds") == 0
    await api.register(country="FR")
    due_at = clock.now().timestamp() + 30 * 86400
    clock.pass_time(days=31)
    series = await told(api)
    assert value(series, "overdue") == 1
    assert value(series, "overdue_oldest_timestamp_seconds") == pytest.approx(due_at, abs=1)


async def test_the_last_look_at_the_ledger_and_its_last_checkpoint_can_be_told(api: "Api", clock: "HandClock") -> None:
    series = await told(api)
    assert value(series, "ledger_verified_timestamp_seconds") == 0
    await api.register()
    await api.parts.ledger.checkpoint()
    await api.parts.ledger.verify()
    series = await told(api)
    now = clock.now().timestamp()
    assert value(series, "ledger_verified_timestamp_seconds") == pytest.approx(now)
    assert value(series, "ledger_checkpoint_timestamp_seconds") == pytest.approx(now)
    assert value(series, "ledger_flaws") == 0


async def test_requests_are_counted_by_the_template_of_their_route(api: "Api") -> None:
    before = await told(api)
    await api.register()
    await api.show()
    assert (await api.client.get("/confirm/AAAAAAAAAAAAAAAAAAAAAA")).status_code == 404
    assert (await api.client.get("/there/is/no/such")).status_code == 404
    await api.client.get("/assets/nothing.css")
    await api.client.request("BREW", "/healthz")
    series = await told(api)
    grown = Growth(before, series)
    for method, route, status in (
        ("POST", "/v1/registrations", "202"),
        ("GET", "/v1/registrations/{registration_id}", "200"),
        ("GET", "/confirm/{token}", "404"),
        ("other", "/healthz", "405"),
    ):
        found = grown.of("http_requests_total", method=method, route=route, status=status)
        assert (route, found) == (route, 1)
    assert grown.of("http_requests_total", method="GET", route="none", status="404") == 2
    assert grown.of("http_request_seconds_count", method="POST", route="/v1/registrations") == 1
    routes = {dict(labels).get("route", "") for _, labels in series}
    assert not [route for route in routes if "AAAA" in route or "r-1" in route]


async def test_a_worker_tells_what_it_counts_and_nothing_that_it_does_not_read() -> None:
    with telling_metrics("127.0.0.1", 0) as port:
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"http://127.0.0.1:{port}/metrics")
        series = read(answer.text)
        with pytest.raises(InvalidSettings, match="CONSENTFLOW_METRICS_PORT"), telling_metrics("127.0.0.1", port):
            pass
    names = {name for name, _ in series}
    assert {"consentflow_mails_total", "consentflow_mails_unsure_total", "process_cpu_seconds_total"} <= names
    assert "consentflow_postgres_up" not in names
    with pytest.raises(OSError, match=r"\S"):
        await asyncio.open_connection("127.0.0.1", port)


async def test_a_place_where_the_sdks_metrics_cannot_be_served_stops_the_start_and_names_the_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(InvalidSettings, match="CONSENTFLOW_TEMPORAL__METRICS_ADDRESS"):
            await connect_temporal(TemporalSettings(), metrics_address=address)


async def begun(api: "Api", registration_id: str = "r-1") -> StoredMail:
    """An attempt at the registration's mail begins."""
    mail = await api.parts.sending.begin(registration_id, LetterKind.DOUBLE_OPT_IN)
    assert isinstance(mail, StoredMail)
    return mail
