"""The figures as a picture: for each, how far its ratio lies from its target. Text stays text; light and dark."""

import math
from html import escape

from benchmarks import report
from benchmarks.figures import Figure
from benchmarks.report import Run

WIDTH, MARGIN, ROW, HEAD = 880, 24, 46, 92
MOST = 8.0
"""The scale ends at this many times the target, and at its inverse."""
_TICKS = {1 / 8: "⅛", 1 / 4: "¼", 1 / 2: "½", 1.0: "target, or peer", 2.0: "2 times", 4.0: "4 times", 8.0: "8 times"}
_WORDS = {True: "met", False: "missed", None: "peer"}
_STYLE = """
  text { font: 13px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328; }
  .title { font-size: 16px; font-weight: 600; } .quiet { fill: #59636e; font-size: 12px; }
  .paper { fill: #ffffff; } .grid { stroke: #d1d9e0; } .target { stroke: #1f2328; stroke-width: 1.5; }
  .met { fill: #1a7f64; } .missed { fill: #c4532d; } .peer { fill: #59636e; } .spread { stroke: #1f2328; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; } .quiet { fill: #9198a1; } .paper { fill: #0d1117; } .grid { stroke: #3d444d; }
    .target, .spread { stroke: #f0f6fc; } .met { fill: #3fb68b; } .missed { fill: #ee8a5f; } .peer { fill: #9198a1; }
  }
"""


def draw(run: Run) -> str:
    """An SVG document."""
    figures = [figure for _, figure in run.figures if figure.rounds]  # what is counted has no rounds, and no spread
    height = HEAD + ROW * len(figures) + MARGIN
    about = " ".join(f"{each.name}: {_told(each)}." for each in figures)
    machine = ", ".join(run.machine[what] for what in ("processor", "memory") if what in run.machine)
    cores = f"{run.machine['cores']} cores, " if "cores" in run.machine else ""
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title about">',
        '<title id="title">Each figure against its target</title>',
        f'<desc id="about">{escape(about)}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}" rx="8"/>',
        _text(MARGIN, 32, "Each figure against its target", "title"),
        _text(
            MARGIN, 52, f"{run.at[:10]} · {cores}{machine} · bar: median, line: all rounds, right is better", "quiet"
        ),
    ]
    for value, name in _TICKS.items():
        at = _x(value)
        line = "target" if value == 1 else "grid"
        lines += [
            f'<line class="{line}" x1="{at:.1f}" x2="{at:.1f}" y1="{HEAD - 8}" y2="{height - MARGIN / 2:g}"/>',
            _text(at, HEAD - 14, name, "quiet", "middle"),
        ]
    for number, figure in enumerate(figures):
        lines += _row(figure, HEAD + ROW * number)
    return "\n".join([*lines, "</svg>"]) + "\n"


def reach(figure: Figure, value: float) -> float:
    """How many times the target a ratio is, so that more is better; of a peer, how many times the peer."""
    target = 1.0 if figure.target is None else figure.target
    if figure.at_most:
        return target / value if value else math.inf
    return value / target if target else math.inf


def _row(figure: Figure, top: int) -> list[str]:
    end = _x(reach(figure, figure.ratio))
    from_, to = sorted((_x(1.0), end))
    least, greatest = sorted(_x(reach(figure, each)) for each in figure.spread)
    word = _WORDS[figure.met]
    return [
        _text(MARGIN, top + 16, figure.name, "name"),
        _text(WIDTH - MARGIN, top + 16, _told(figure), "name", "end"),
        f'<rect class="{word}" x="{from_:.1f}" y="{top + 23}" width="{max(to - from_, 1):.1f}" height="10" rx="2"/>',
        f'<line class="spread" x1="{least:.1f}" x2="{greatest:.1f}" y1="{top + 28}" y2="{top + 28}"/>',
    ]


def _told(figure: Figure) -> str:
    if figure.target is None:
        return f"{figure.ratio:.2f} of the peer"
    return f"{figure.ratio:.2f}, target {report.to_reach(figure)}, {_WORDS[figure.met]}"


def _x(value: float) -> float:
    clipped = min(max(value, 1 / MOST), MOST)
    return WIDTH / 2 + (WIDTH / 2 - 2 * MARGIN) * math.log(clipped) / math.log(MOST)


def _text(x: float, y: float, content: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:g}" text-anchor="{anchor}">{escape(content)}</text>'
