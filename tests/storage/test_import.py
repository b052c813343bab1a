"""`consentflow import`, on a real Postgres."""

import asyncio
import csv
import io
import json
import os
import signal
import sys
import tracemalloc
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from consentflow.cli import app
from consentflow.domain.clock import SystemClock
from consentflow.domain.intake import RegistrationIn
from consentflow.domain.lines import Row, Unreadable, read_line
from consentflow.importing.files import open_source
from consentflow.importing.tables import read_table
from consentflow.operations.bulk import SLICE
from consentflow.runtime import Parts
from tests.conftest import environment, make_settings
from tests.fuzzing import some

Json = dict[str, Any]

LEA = {
    "registration_id": "r-1",
    "partner_id": "p-77",
    "registered_by": "ana@partner.example",
    "contact": {"email": "lea@firma.example", "given_name": "Lea", "family_name": "Muster", "language": "de"},
    "company": {"name": "Firma GmbH", "domain": "firma.example"},
    "country": "FR",
    "registered_at": "2026-01-02T03:04:05Z",
}
EVA = {"registration_id": "r-2", "partner_id": "p-77", "contact": {"email": "eva@betrieb.example"}, "country": "IT"}
HEADER = "registration_id,partner_id,email"


@pytest.fixture
async def parts(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Parts]:
    """Parts in real time, as the command has them, on the database that the command is told."""
    for name, value in environment(database_url).items():
        monkeypatch.setenv(name, value)
    async with (built := Parts(make_settings(database_url), SystemClock())).database:
        yield built


async def bring_in(*arguments: object, typed: bytes | None = None) -> Result:
    """Runs the command; in a thread of its own, since it runs a loop of its own."""
    return await asyncio.to_thread(CliRunner().invoke, app, ["import", *map(str, arguments)], input=typed)


async def stored(parts: Parts) -> list[str]:
    async with parts.database.transaction() as connection:
        rows = await connection.fetch("SELECT registration_id FROM registrations ORDER BY registration_id")
    return [row["registration_id"] for row in rows]


async def everything(parts: Parts) -> str:
    async with parts.database.transaction() as connection:
        names = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return "\n".join(
            [str(await connection.fetchval(f"SELECT json_agg(t) FROM {row['tablename']} t")) for row in names]
        )


def ndjson(*registrations: object) -> bytes:
    return "".join(json.dumps(each) + "\n" for each in registrations).encode()


def counts(new: int = 0, before: int = 0, refused: int = 0) -> str:
    total = new + before + refused
    return f"{total:,} rows: {new:,} taken now, {before:,} taken before, {refused:,} refused."


async def test_every_row_is_taken_and_running_it_again_changes_nothing(parts: Parts, tmp_path: Path) -> None:
    (file := tmp_path / "leads.ndjson").write_bytes(ndjson(LEA, EVA))
    first = await bring_in(file)
    assert (first.exit_code, first.stdout, first.stderr) == (0, "", counts(new=2) + "\n")
    before = await everything(parts)
    again = await bring_in(file)
    assert (again.exit_code, again.stderr) == (0, counts(before=2) + "\n")
    assert await everything(parts) == before


@pytest.mark.usefixtures("parts")
async def test_a_table_says_the_same_as_lines_of_json(tmp_path: Path) -> None:
    (lines := tmp_path / "leads.jsonl").write_bytes(ndjson(LEA, EVA))
    (table := tmp_path / "leads.csv").write_text(
        "\ufeffRegistration_ID;partner_id;registered_by;email;given_name;family_name;contact.language;company_name;"
        "company.domain;country;registered_at\r\n"
        "r-1;p-77;ana@partner.example;lea@firma.example;Lea;Muster;de;Firma GmbH;firma.example;FR;2026-01-02T03:04:05Z"
        "\r\nr-2;p-77; ;eva@betrieb.example ;;;;;;IT;\r\n"
    )
    assert (await bring_in(lines)).exit_code == 0
    said = await bring_in(table)
    assert (said.exit_code, said.stderr) == (0, counts(before=2) + "\n")  # other content would be a conflict


@pytest.mark.parametrize("content", [ndjson(LEA), f"{HEADER}\nr-1,p-77,lea@firma.example\n".encode()])
async def test_standard_input_is_recognised(parts: Parts, content: bytes) -> None:
    assert (await bring_in("-", typed=content)).exit_code == 0
    assert await stored(parts) == ["r-1"]


async def test_each_refused_row_is_named_with_its_line_and_reason(parts: Parts, tmp_path: Path) -> None:
    (file := tmp_path / "leads.csv").write_text(
        f"{HEADER},company_name,country\n"  # 1
        'r-1,p-1,lea@firma.example,"Firma\n\n GmbH",FR\n'  # 2 to 4: a name has no line break
        "\n"  # 5
        "r-2,p-1,nobody,,\n"  # 6
        "r-3,,,,\n"  # 7
        'r-4,p-1,x@y.example,"Be"trieb,\n'  # 8
        "r-5,p-1,eva@betrieb.example\n"  # 9
        "r-6,p-1,eva@betrieb.example,,FR,\n"  # 10: a last separator means nothing
        "r-6,p-1,eva@betrieb.example,,IT\n"  # 11
        "r-7,p-2,udo@betrieb.example,,IT\n"  # 12
    )
    said = await bring_in(file)
    assert said.exit_code == 1
    *refused, last = said.stderr.splitlines()
    assert [each.split(",")[0] for each in refused] == [
        "line 2 (r-1): /company/name: forbidden_characters",
        "line 6 (r-2): /contact/email: invalid_address",
        "line 7 (r-3): /partner_id: missing",
        "line 8: malformed_csv",
        "line 9 (r-5): malformed_csv",
        "line 11 (r-6): registration_conflict",
        "line 12 (r-7): owned_by_other_partner",
    ]
    assert "/contact/email: missing" in refused[2]
    assert last == counts(new=1, refused=7)
    assert await stored(parts) == ["r-6"]


@pytest.mark.parametrize("name", ["report.csv", "report.ndjson", "-"])
async def test_a_report_names_each_reason_for_programs(parts: Parts, tmp_path: Path, name: str) -> None:
    (file := tmp_path / "leads.ndjson").write_bytes(
        ndjson(LEA, {}, LEA | {"registration_id": "-r", "contact": {"email": "nobody", "phone": "1"}}) + b"{\n"
    )
    path = Path(name) if name == "-" else tmp_path / name
    said = await bring_in(file, "--report", path)
    assert (said.exit_code, said.stderr) == (1, counts(new=1, refused=3) + "\n")
    text = said.stdout if name == "-" else path.read_text()
    if name.endswith(".csv"):
        found = [
            {"line": int(row["line"]), **{key: row[key] or None for key in list(row)[1:]}}
            for row in csv.DictReader(io.StringIO(text))
        ]
        assert found[-2]["registration_id"] == "'-r"  # or a spreadsheet would reckon with it
    else:
        found = [json.loads(row) for row in text.splitlines()]
        assert list(found[0]) == ["line", "registration_id", "code", "pointer", "reason"]
    assert [(row["line"], row["code"], row["pointer"]) for row in found] == [
        (2, "missing", "/registration_id"),
        (2, "missing", "/partner_id"),
        (2, "missing", "/contact"),
        (3, "invalid_address", "/contact/email"),
        (3, "extra_forbidden", "/contact/phone"),
        (4, "malformed_json", None),
    ]
    assert await stored(parts) == ["r-1"]


UNUSABLE = {
    "no such file": (None, [], "No such file"),
    "an empty table": (b"", [], "There is no header"),
    "no header": (b"r-1,p-77,lea@firma.example\n", [], "There is no header"),
    "an unknown column": (f"{HEADER},phone,Lea Muster\n".encode(), [], "Unknown columns: phone, number 5."),
    "a column twice": (f"{HEADER},contact.email\n".encode(), [], "Columns that are there twice: contact.email."),
    "a column too few": (b"registration_id,country\n", [], "Missing columns: partner_id, contact.email."),
    "UTF-16": (HEADER.encode("utf-16"), [], "--encoding utf-16"),
    "cp1252": (f"{HEADER},given_name\nr-1,p-1,a@b.example,J\xfcrgen\n".encode("cp1252"), [], "--encoding cp1252"),
    "an unknown encoding": (HEADER.encode(), ["--encoding", "utf-9"], "no encoding utf-9"),
    "what is no text": (HEADER.encode(), ["--encoding", "hex"], "no encoding hex for text"),
    "a JSON array": (b'[{"registration_id": "r-1"}]', ["--format", "ndjson"], "one registration a line"),
    "JSON in another encoding": (b"{}", ["--format", "ndjson", "--encoding", "cp1252"], "JSON is always UTF-8"),
}


@pytest.mark.parametrize(("content", "more", "reason"), UNUSABLE.values(), ids=UNUSABLE)
async def test_what_cannot_be_used_ends_with_2_and_one_line_that_says_why(
    parts: Parts, tmp_path: Path, content: bytes | None, more: list[str], reason: str
) -> None:
    file = tmp_path / "leads.csv"
    if content is not None:
        file.write_bytes(content)
    said = await bring_in(file, *more)
    assert (said.exit_code, len(said.stderr.splitlines())) == (2, 1), said.output
    assert reason in said.stderr
    assert "lea" not in said.stderr.replace(str(file), "").lower()
    assert await stored(parts) == []


async def test_nothing_but_a_header_and_no_line_at_all_are_in_order(parts: Parts, tmp_path: Path) -> None:
    (table := tmp_path / "leads.csv").write_text(f"{HEADER}\n")
    (lines := tmp_path / "leads.ndjson").write_text("")
    for file in (table, lines):
        assert (await bring_in(file)).exit_code == 0
    assert await stored(parts) == []


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "UTF_8", "latin-1"])
async def test_what_excel_writes_is_read(parts: Parts, tmp_path: Path, encoding: str) -> None:
    content = f"sep=\t\r\n{HEADER},given_name\r\nr-1,p-1,lea@firma.example,Jürgen\r\n".replace(",", "\t")
    (file := tmp_path / "leads.csv").write_bytes(content.encode(encoding))
    said = await bring_in(file, "--encoding", encoding)
    assert said.exit_code == 0, said.output
    async with parts.database.transaction() as connection:
        assert await connection.fetchval("SELECT given_name FROM contacts WHERE given_name IS NOT NULL") == "Jürgen"


async def test_nothing_personal_is_said_of_what_is_refused(parts: Parts, tmp_path: Path) -> None:
    await parts.registrations.register(RegistrationIn.model_validate(LEA))
    mark = "zqzq"
    header = f"{HEADER},registered_by,given_name,company_domain,country,registered_at,kind"
    good = f"r-1,p-77,{mark}@{mark}.example,{mark}rep@{mark}.example,{mark},{mark}.example,{mark},,"
    rows = [
        good,
        good.replace("r-1", f"{mark}@{mark}.example"),
        good.replace(f"{mark}@", f"{mark} @"),
        good[:-1] + f"{mark},{mark}",
        good + f",{mark}",
        good.replace(f",{mark},", f',"{mark}"{mark},'),
        good.replace(f",{mark},", f",{mark}\0,"),
    ]
    (file := tmp_path / "leads.csv").write_text("\n".join([header, *rows]))
    said = await bring_in(file)
    assert said.stderr.splitlines()[-1] == counts(refused=7)
    assert mark not in said.output


async def test_a_short_absence_of_postgres_costs_nothing(parts: Parts, tmp_path: Path, postgres_url: str) -> None:
    (file := tmp_path / "leads.ndjson").write_bytes(ndjson(LEA))
    name = parts.settings.database_url.get_secret_value().partition("?")[0].rpartition("/")[2]
    operator = await asyncpg.connect(postgres_url.format(database="postgres"))
    await parts.database.close()
    await operator.execute(f"ALTER DATABASE {name} RENAME TO {name}_away")
    running = asyncio.create_task(bring_in(file))
    # It fails at once and goes on asking for two minutes; whether it has begun by now makes no difference.
    await operator.execute(f"ALTER DATABASE {name}_away RENAME TO {name}")
    said = await running
    await operator.close()
    assert said.exit_code == 0
    assert await stored(parts) == ["r-1"]


async def test_without_postgres_it_stops_with_one_clear_line(
    parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consentflow.importing.run.PATIENCE", 0.6)
    monkeypatch.setenv("CONSENTFLOW_DATABASE_URL", f"postgresql:///x?host={tmp_path}&user=postgres")
    (file := tmp_path / "leads.ndjson").write_bytes(ndjson(LEA))
    said = await bring_in(file)
    assert said.exit_code == 3
    waiting, last = said.stderr.splitlines()
    assert "waiting for it" in waiting
    assert "run it again" in last
    assert await stored(parts) == []


@pytest.mark.parametrize("wanted", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupted_run_says_where_it_stands_and_can_be_run_again(
    parts: Parts, wanted: signal.Signals
) -> None:
    lines = [ndjson(EVA | {"registration_id": f"r-{n:04}"}) for n in range(1000)]
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "consentflow", "import", "-"),
        env={**os.environ},
        stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert running.stdin
    running.stdin.write(b"".join(lines[: 3 * SLICE + 1]))
    async with asyncio.timeout(60):
        while len(await stored(parts)) < 3 * SLICE:
            assert running.returncode is None, await running.stderr.read() if running.stderr else ""
            await asyncio.sleep(0.05)
        running.send_signal(wanted)  # while it waits for more, which does not come
        _, said = await running.communicate()
    assert running.returncode == 130, said
    assert f"{3 * SLICE} rows: {3 * SLICE} taken now".encode() in said
    assert f"Interrupted after line {3 * SLICE}".encode() in said
    again = await bring_in("-", typed=b"".join(lines))
    assert (again.exit_code, again.stderr) == (0, counts(new=1000 - 3 * SLICE, before=3 * SLICE) + "\n")


def test_reading_keeps_no_more_than_a_little_of_a_file_in_memory(tmp_path: Path) -> None:
    number = 1000
    lines, table = tmp_path / "a.ndjson", tmp_path / "a.csv"
    table.write_text(f"{HEADER}\n")
    with lines.open("ab") as more_lines, table.open("a") as more_rows:
        for n in range(number):
            more_lines.write(ndjson(LEA)[:-1].ljust(10_000) + b"\n")
            more_rows.write(f"r-{n},p-1,lea@firma.example{' ' * 10_000}\n")
        more_rows.write('r-x,p-1,"' + "never closed\n" * 20_000)
        more_rows.write("x" * 5_000_000)
    for file, wanted in ((lines, number), (table, number)):
        tracemalloc.start()
        with closing(open_source(file, None, "utf-8")) as source:
            good = sum(isinstance(row.said, RegistrationIn) for row in source.rows())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert good == wanted
        assert peak < 3_000_000


# What is imported is what was written.

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).map(str.strip)
FLAT = (
    *("registration_id", "kind", "partner_id", "registered_by", "contact.email", "contact.given_name"),
    *("contact.family_name", "contact.language", "company.name", "company.domain", "country", "registered_at"),
)
CELLS = st.fixed_dictionaries(
    {"registration_id": st.from_regex(r"[A-Za-z0-9._:-]{1,64}", fullmatch=True)},
    optional=dict.fromkeys(FLAT[1:], TEXT),
)


def nested(cells: Mapping[str, str]) -> Json:
    content: Json = {"contact": {}}
    for name, cell in cells.items():
        *group, last = name.split(".")
        if cell:
            (content.setdefault(group[0], {}) if group else content)[last] = cell
    return content


def alike(rows: Sequence[Row]) -> list[object]:
    """Without line numbers, which are others in a table with line breaks."""
    return [(row.registration_id, row.said) for row in rows]


@given(
    st.lists(CELLS, max_size=5),
    st.sampled_from(",;\t"),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.permutations(FLAT),
)
@some(150)
def test_a_table_of_any_make_says_what_was_written(
    written: list[dict[str, str]], separator: str, end: str, quoting: Literal[0, 1], order: list[str]
) -> None:
    if quoting == csv.QUOTE_MINIMAL:  # by which a bare carriage return gets no quotes, and then ends a line
        written = [{name: cell.replace("\r", "") for name, cell in cells.items()} for cells in written]
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, order, "", delimiter=separator, lineterminator=end, quoting=quoting)
    writer.writeheader()
    writer.writerows(written)
    text = out.getvalue()
    rows = list(read_table(io.TextIOWrapper(io.BytesIO(text.encode()), "utf-8", "surrogateescape", newline="")))
    from_lines = [read_line(number, json.dumps(nested(cells)).encode()) for number, cells in enumerate(written, 1)]
    assert alike(rows) == alike(from_lines)
    lines = io.StringIO(text, newline="").readlines()
    assert all(
        row.registration_id in lines[row.number - 1] or order[0] != "registration_id"
        for row in rows
        if row.registration_id
    )


@given(st.lists(st.binary(max_size=40), max_size=6))
@some(150)
def test_no_bytes_in_a_table_get_it_out_of_step(rubbish: list[bytes]) -> None:
    header = b"registration_id,partner_id,email,given_name\n"
    good = b"\nr-last,p-1,lea@firma.example,Lea\n"
    content = header + b"\n".join(each.replace(b'"', b"'") for each in rubbish) + good
    text = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", "surrogateescape", newline="")
    *others, last = read_table(text)
    assert isinstance(last.said, RegistrationIn)
    assert last.registration_id == "r-last"
    assert all(isinstance(row.said, Unreadable) for row in others)
