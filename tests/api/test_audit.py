"""Who looked at, decided, handed out or erased what: the list over the API."""

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from consentflow.domain.acts import SEEN_ONCE_IN, Act, Actor, of_key
from consentflow.domain.addresses import Subject
from consentflow.operations.audit import note_act, note_view
from consentflow.operations.keys import Role
from consentflow.storage.audit import Filters, query
from tests.conftest import BEGINNING

if TYPE_CHECKING:
    from tests.api.conftest import Api, Json
    from tests.conftest import HandClock

LEA, TOM = Subject("s-" + "1" * 32), Subject("s-" + "2" * 32)
EVE, PAT = of_key("eve"), of_key("pat")
ROWS = 20_000


async def act(api: "Api", actor: Actor, kind: Act, subject: Subject | None = LEA, **detail: str) -> None:
    async with api.parts.database.transaction() as connection:
        await note_act(connection, api.parts.clock.now(), actor, kind, subject=subject, event=None, **detail)


async def acts(api: "Api", **params: str) -> list["Json"]:
    response = await api.call("GET", "/v1/audit?" + "&".join(f"{name}={value}" for name, value in params.items()))
    assert response.status_code == 200, response.text
    found: list[Json] = response.json()["acts"]
    return found


async def test_erasing_and_exporting_are_listed_newest_first_with_who_and_whom(api: "Api", clock: "HandClock") -> None:
    await api.register()
    for path in ("access-exports", "erasures"):
        await api.call("POST", f"/v1/{path}", role=Role.OFFICER, json={"email": "lea@firma.example"})
        clock.pass_time(minutes=1)
    erased, exported = await acts(api)
    assert (erased["act"], exported["act"]) == ("erased", "exported")
    assert {erased["actor"], exported["actor"]} == {"key officer"}
    assert erased["subject"] == exported["subject"]
    assert (exported["at"], exported["detail"]) == ("2026-11-22T09:00:00Z", {})
    assert erased["detail"]["contact"] == 1


async def test_what_happens_without_an_actor_is_evidence_and_no_act(api: "Api") -> None:
    await api.register()
    await api.mail_leaves()
    assert await acts(api) == []


async def test_each_filter_and_all_of_them_together_find_what_fits(api: "Api", clock: "HandClock") -> None:
    for actor in (EVE, PAT):
        for what in (Act.VIEWED, Act.ERASED):
            for subject in (LEA, TOM):
                await act(api, actor, what, subject)
                clock.pass_time(hours=1)
    assert len(await acts(api)) == 8
    assert {each["actor"] for each in await acts(api, actor="key eve")} == {"key eve"}
    assert {each["act"] for each in await acts(api, act="erased")} == {"erased"}
    assert {each["subject"] for each in await acts(api, subject=TOM)} == {TOM}
    assert len(await acts(api, since="2026-11-22T13:00:00Z")) == 4
    assert len(await acts(api, before="2026-11-22T13:00:00Z")) == 4
    assert len(await acts(api, since="2026-11-22T10:00:00Z", before="2026-11-22T13:00:00Z")) == 3
    (one,) = await acts(api, actor="key pat", act="viewed", subject=LEA, since="2026-11-22T09:00:00Z")
    assert one["at"] == "2026-11-22T13:00:00Z"
    assert await acts(api, actor="key nobody") == []


async def test_the_pages_hold_every_act_once(api: "Api", clock: "HandClock") -> None:
    for number in range(7):
        await act(api, EVE, Act.VIEWED, what=f"thing-{number}")
        clock.pass_time(minutes=number % 2)  # some at the very same instant
    seen, after = [], ""
    while True:
        page = (await api.call("GET", f"/v1/audit?most=3&after={after}")).json()
        seen += [each["detail"]["what"] for each in page["acts"]]
        if page["after"] is None:
            break
        after = page["after"]
    assert seen == [f"thing-{number}" for number in reversed(range(7))]


@pytest.mark.parametrize("after", ["nonsense", "MjAyNi0xMS0yMlQwOTowMDowMCswMDowMCByLTE"])
async def test_a_mark_of_another_list_is_refused(api: "Api", after: str) -> None:
    response = await api.call("GET", f"/v1/audit?after={after}")
    assert api.pointers(response) == {"/after": "invalid_mark"}


@pytest.mark.parametrize("role", Role)
async def test_only_officers_and_admins_see_the_list(api: "Api", role: Role) -> None:
    response = await api.call("GET", "/v1/audit", role=role)
    if role in {Role.OFFICER, Role.ADMIN}:
        assert response.status_code == 200
    else:
        api.problem(response, 403, "forbidden")


async def test_looking_at_the_same_again_within_the_hour_is_noted_once(api: "Api", clock: "HandClock") -> None:
    async def look(actor: Actor, what: str) -> None:
        async with api.parts.database.transaction() as connection:
            await note_view(connection, clock.now(), actor, LEA, what)

    for _ in range(3):
        await look(EVE, "source_request")
    await look(EVE, "mail")
    await look(PAT, "source_request")
    assert len(await acts(api)) == 3
    clock.at += SEEN_ONCE_IN
    await look(EVE, "source_request")
    assert len(await acts(api)) == 4


@pytest.fixture
async def crowded(api: "Api") -> "Api":
    """A ledger with many entries, one in ten of them an act; the chain's trigger is for its own tests."""
    async with api.parts.database.transaction() as connection:
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(
            """
            INSERT INTO ledger (entry_id, at, subject, event, detail, previous_hash, entry_hash)
            SELECT n, $1::timestamptz - n * interval '1 second', 's-' || lpad((n % 5000)::text, 32, '0'), 'x',
                   CASE WHEN n % 10 = 0 THEN jsonb_build_object(
                       'actor', 'key k' || n % 20, 'act', (ARRAY['viewed', 'erased', 'exported'])[n % 3 + 1])
                   ELSE '{"state": "waiting"}' END, '', ''
            FROM generate_series(1000000, 1000000 + $2) AS n
            """,
            BEGINNING,
            ROWS,
        )
    async with api.parts.database.transaction() as connection:
        await connection.execute("ANALYZE ledger")
    return api


FILTERS: list[Filters] = [
    Filters(),
    Filters(actor=of_key("k10")),
    Filters(act=Act.ERASED),
    Filters(actor=of_key("k10"), act=Act.EXPORTED),
    Filters(subject=Subject("s-" + "10".rjust(32, "0"))),
    Filters(since=BEGINNING - timedelta(days=12), before=BEGINNING - timedelta(days=11, hours=18)),
    Filters(actor=of_key("nobody"), before=BEGINNING),
]


async def test_a_page_is_read_from_an_index_and_never_from_the_whole_ledger(crowded: "Api") -> None:
    for filters in FILTERS:
        visited = await plan_of(crowded, filters)
        assert "Seq Scan" not in {node["Node Type"] for node in visited}, filters


async def test_there_is_an_index_in_the_lists_own_order_for_every_filter(crowded: "Api") -> None:
    for filters in FILTERS:
        visited = await plan_of(crowded, filters, "SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off")
        assert [node["Node Type"] for node in visited] == ["Limit", "Index Scan"], filters
        assert sum(node.get("Rows Removed by Filter", 0) for node in visited) == 0, filters


async def plan_of(
    api: "Api", filters: Filters, settings: str = "SET LOCAL enable_bitmapscan = on"
) -> list[dict[str, Any]]:
    text, arguments = query(filters, None, 50)
    async with api.parts.database.transaction() as connection:
        await connection.execute(settings)
        plan = json.loads(await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {text}", *arguments))
    return nodes(plan[0]["Plan"])


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", []) for node in nodes(child))]
