"""How figures are made, shown and published; nothing is measured here."""

import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from benchmarks import chart, publish, report
from benchmarks.figures import Figure, against_floor
from benchmarks.report import Run
from benchmarks.rows import ROWS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "benchmarks.md"
SVG = "{http://www.w3.org/2000/svg}"


def figure(ratio: float = 1.0, target: float | None = 0.9, *, at_most: bool = False, name: str = "mails") -> Figure:
    pairs = ((ratio * 90, 100.0), (ratio * 100, 100.0), (ratio * 120, 100.0))
    return Figure(name, "mails/s", ratio * 100, 100.0, ratio, target, "bare sending", at_most, pairs)


def run(*figures: Figure, failed: dict[str, str] | None = None) -> Run:
    named = [(f"row{number}", each) for number, each in enumerate(figures)]
    return Run("2026-11-22T12:00:00+00:00", 3, {"cores": "2", "memory": "8 GiB"}, named, failed or {})


@pytest.mark.parametrize(
    ("ratio", "target", "at_most", "met"),
    [(0.9, 0.9, False, True), (0.89, 0.9, False, False), (1.3, 1.3, True, True), (1.31, 1.3, True, False)],
)
def test_a_target_is_met_when_it_is_reached(ratio: float, target: float, *, at_most: bool, met: bool) -> None:
    assert figure(ratio, target, at_most=at_most).met is met


def test_a_peer_has_no_target_to_meet() -> None:
    assert figure(target=None).met is None


async def test_a_figure_is_the_median_of_the_rounds_after_one_that_does_not_count() -> None:
    ours, floor, order = iter([1, 10, 30, 20]), iter([1, 100, 100, 50]), []

    async def mine() -> float:
        order.append("ours")
        return float(next(ours))

    async def least() -> float:
        order.append("floor")
        return float(next(floor))

    found = await against_floor("x", "x/s", 0.3, "less", mine, least, rounds=3)

    assert (found.ours, found.floor, found.ratio) == (20, 100, 0.3)
    assert found.spread == (0.1, 0.4)
    assert found.met
    assert order == ["floor", "ours", "floor", "ours", "ours", "floor", "floor", "ours"]  # nobody is always second


def test_programs_find_each_figure_with_its_floor_target_and_verdict(tmp_path: Path) -> None:
    report.save(run(figure(0.5), figure(2.0, None)), tmp_path / "bench.json")
    content = json.loads((tmp_path / "bench.json").read_text())

    [found] = content["figures"]
    assert {"name", "unit", "ours", "floor", "ratio", "target", "met"} <= found.keys()
    assert found["met"] is False
    assert [each["met"] for each in content["peers"]] == [None]


def test_a_saved_run_reads_the_same(tmp_path: Path) -> None:
    before = run(figure(), figure(1.2, 1.3, at_most=True), failed={"asking": "TimeoutError"})
    report.save(before, tmp_path / "bench.json")
    after = report.read(tmp_path / "bench.json")

    assert dict(after.figures) == dict(before.figures)
    assert after.failed == before.failed


def test_a_missed_target_and_a_failed_row_stand_in_the_table() -> None:
    out = Console(width=160, record=True, quiet=True)
    with out.capture() as captured:
        out.quiet = False
        out.print(report.table(run(figure(0.5), failed={"asking": "no answer"})))

    assert "missed" in captured.get()
    assert "no answer" in captured.get()


def test_the_chart_is_well_formed_and_says_in_words_what_it_shows() -> None:
    root = ET.fromstring(chart.draw(run(figure(0.5, name="a < b & c"), figure(3.0, None))))
    words = " ".join(each.text or "" for each in root.iter(f"{SVG}text"))

    assert root.findtext(f"{SVG}title")
    assert "a < b & c: 0.50, target ≥ 0.9, missed" in (root.findtext(f"{SVG}desc") or "")
    assert "missed" in words
    assert "prefers-color-scheme: dark" in (root.findtext(f"{SVG}style") or "")


@pytest.mark.parametrize("ratio", [0.0, 1e-6, 0.5, 1.0, 1e6])
@pytest.mark.parametrize("at_most", [True, False])
def test_no_bar_leaves_the_chart(ratio: float, *, at_most: bool) -> None:
    root = ET.fromstring(chart.draw(run(figure(ratio, at_most=at_most))))
    for bar in root.iter(f"{SVG}rect"):
        left, width = float(bar.get("x", "0")), float(bar.get("width", "0"))
        assert left >= 0
        assert left + width <= chart.WIDTH


@pytest.mark.parametrize(("value", "at_most", "times"), [(0.5, False, 0.5), (2.0, False, 2.0), (2.0, True, 0.5)])
def test_right_of_the_target_is_better(value: float, *, at_most: bool, times: float) -> None:
    assert chart.reach(figure(value, 1.0, at_most=at_most), value) == times


def test_publishing_changes_only_what_is_between_the_marks(tmp_path: Path) -> None:
    page, picture = tmp_path / "page.md", tmp_path / "picture.svg"
    page.write_text(f"before\n{publish.BEGIN}\nold\n{publish.END}\nafter\n")
    report.save(run(figure(name="a|b"), figure(0.7, None), failed={"asking": "x"}), tmp_path / "bench.json")

    publish.publish(tmp_path / "bench.json", page, picture)
    first = page.read_text()
    publish.publish(tmp_path / "bench.json", page, picture)

    assert page.read_text() == first
    assert first.startswith(f"before\n{publish.BEGIN}\n")
    assert first.endswith(f"{publish.END}\nafter\n")
    assert "old" not in first
    assert "a\\|b" in first
    ET.parse(picture)


def test_nothing_is_published_without_a_run_or_a_place_for_it(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="run the benchmarks first"):
        publish.publish(tmp_path / "bench.json")
    report.save(run(figure()), tmp_path / "bench.json")
    (tmp_path / "page.md").write_text("no marks")
    with pytest.raises(SystemExit, match="needs one"):
        publish.publish(tmp_path / "bench.json", tmp_path / "page.md", tmp_path / "picture.svg")


def test_the_page_has_a_place_for_the_run_and_says_of_every_row_what_its_floor_is() -> None:
    page = DOCS.read_text()
    assert page.count(publish.BEGIN) == page.count(publish.END) == 1
    described = page.partition("## What is measured")[2].partition("\n## ")[0]
    for name, row in ROWS.items():
        assert f"| `{name}` |" in described, name
        assert row.measure.__doc__, name
        assert row.seconds > 0, name


def test_the_benchmarks_list_their_rows_without_starting_anything() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--list"], check=True, capture_output=True, text=True, cwd=ROOT
    )
    assert [line.split(":")[0] for line in listed.stdout.splitlines()] == list(ROWS)


def test_comparing_with_others_changes_no_version_of_what_is_compared() -> None:
    compared, dev = (
        set(re.findall(r"^(\S+==\S+)", (ROOT / "requirements" / name).read_text(), re.MULTILINE))
        for name in ("bench.txt", "dev.txt")
    )
    assert dev < compared
