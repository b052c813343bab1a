"""Writes the last run into the documentation: a table between two marks, and the chart beside it. Never by hand."""

from pathlib import Path

from benchmarks import chart, report
from benchmarks.figures import Figure
from benchmarks.report import Run

PAGE, PICTURE = Path("docs/benchmarks.md"), Path("docs/benchmarks.svg")
BEGIN, END = "<!-- the last run: begin -->", "<!-- the last run: end -->"


def publish(results: Path, page: Path = PAGE, picture: Path = PICTURE) -> None:
    """Shows the run on the page.

    Raises:
        SystemExit: There is no run, or the page has no place for it.
    """
    if not results.exists():
        raise SystemExit(f"{results} is not there: run the benchmarks first")
    run, text = report.read(results), page.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise SystemExit(f"{page} needs one {BEGIN} and one {END}")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    picture.write_text(chart.draw(run))
    page.write_text(f"{before}{BEGIN}\n{as_markdown(run)}{END}{after}")


def as_markdown(run: Run) -> str:
    """The run as two tables, of floors and of peers, and what it was measured on."""
    floors = [(row, figure) for row, figure in run.figures if figure.target is not None]
    peers = [(row, figure) for row, figure in run.figures if figure.target is None]
    lines = [
        f"![Each figure against its target; the table below says the same in words]({PICTURE.name})",
        "",
        f"Measured {run.at[:10]}, {run.rounds} {'round' if run.rounds == 1 else 'rounds'}: "
        + ", ".join(f"{what} {fact}" for what, fact in run.machine.items())
        + ".",
        "",
        "| row | what | unit | ours | floor | ratio (of the rounds) | to reach | |",
        "|---|---|---|--:|--:|--:|--:|---|",
    ]
    for row, figure in floors:
        met = "met" if figure.met else "**missed**"
        lines.append(_line(row, figure, report.to_reach(figure), met))
    lines += [_cells(f"`{row}`", error, "", "", "", "", "", "**failed**") for row, error in run.failed.items()]
    if peers:
        lines += ["", "| row | what | unit | ours | the peer | ratio (of the rounds) |", "|---|---|---|--:|--:|--:|"]
        lines += [_line(row, figure) for row, figure in peers]
    return "\n".join(lines) + "\n"


def _line(row: str, figure: Figure, *more: str) -> str:
    ours, floor = (report.amount(value) for value in (figure.ours, figure.floor))
    what = f"{figure.name} — {figure.floor_is}"
    return _cells(f"`{row}`", what, figure.unit, ours, floor, report.ratio(figure), *more)


def _cells(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
