"""Draws docs/images/{mesh,walk}.svg, readable on light and on dark pages: `python scripts/draw.py`.

`--check` says whether they are what this script draws.
"""

import sys
from html import escape
from pathlib import Path

IMAGES = Path(__file__).parents[1] / "docs" / "images"

_STYLE = """
  .page { fill: #ffffff } .box { fill: #f6f8fa; stroke: #8c959f } .own { fill: #ddf4ff; stroke: #0969da }
  .room { fill: none; stroke: #8c959f; stroke-dasharray: 5 4 }
  .line { fill: none; stroke: #57606a; stroke-width: 1.6 } .head { fill: #57606a }
  text { fill: #24292f; font: 14px system-ui, sans-serif } .small { font-size: 12px; fill: #57606a }
  .name { font-weight: 600 } .number { fill: #0969da; font-weight: 600 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } .box { fill: #161b22; stroke: #6e7681 } .own { fill: #10243e; stroke: #4493f8 }
    .room { stroke: #6e7681 } .line { stroke: #9198a1 } .head { fill: #9198a1 }
    text { fill: #e6edf3 } .small { fill: #9198a1 } .number { fill: #4493f8 }
  }"""

_HEAD = (
    '<marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
    'orient="auto-start-reverse"><path class="head" d="M0 0 10 5 0 10z"/></marker>'
)


class Picture:
    """An SVG that grows piece by piece; every length is in its own pixels."""

    def __init__(self, title: str, width: int, height: int) -> None:
        self._pieces = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{_STYLE}\n</style>",
            f"<defs>{_HEAD}</defs>",
            f'<rect class="page" width="{width}" height="{height}" rx="10"/>',
        ]

    def box(self, x: int, y: int, width: int, height: int, name: str, *words: str, kind: str = "box") -> None:
        """A box with its name, and words below it."""
        self._pieces.append(f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="7"/>')
        top = y + height / 2 - 8 * len(words) + 5
        self.text(x + width / 2, top, name, "name")
        for number, line in enumerate(words, start=1):
            self.text(x + width / 2, top + 17 * number, line, "small")

    def room(self, x: int, y: int, width: int, height: int, name: str) -> None:
        """A dashed room around boxes."""
        self._pieces.append(f'<rect class="room" x="{x}" y="{y}" width="{width}" height="{height}" rx="10"/>')
        self.text(x + 12, y + 20, name, "small", anchor="start")

    def arrow(self, *points: tuple[int, int], both: bool = False) -> None:
        """A line from point to point, with a head at its end, or at both."""
        path = " ".join(f"{'L' if number else 'M'}{x} {y}" for number, (x, y) in enumerate(points))
        start = ' marker-start="url(#head)"' if both else ""
        self._pieces.append(f'<path class="line" d="{path}" marker-end="url(#head)"{start}/>')

    def text(self, x: float, y: float, words: str, kind: str = "small", anchor: str = "middle") -> None:
        """One line of words."""
        self._pieces.append(f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(words)}</text>')

    def drawn(self) -> str:
        """The whole of it."""
        return "\n".join([*self._pieces, "</svg>", ""])


def mesh() -> str:
    """Who talks to whom, and who dials."""
    it = Picture(
        "Clients call the Planner; the Planner dispatches to the Router; workers dial out to the mesh", 900, 500
    )
    it.box(205, 20, 440, 52, "clients", "devteam, Python SDK, grpcurl, any language, JSON by the gateway")
    it.room(30, 100, 620, 220, "the mesh: one process on a laptop, many in a cluster")
    it.box(330, 135, 190, 62, "Planner", "what has to be done", kind="own")
    it.box(330, 240, 190, 62, "Router", "who should do it", kind="own")
    it.box(60, 240, 170, 62, "Registry", "who is alive", kind="own")
    it.box(700, 118, 170, 44, "Temporal", "what comes next")
    it.box(700, 176, 170, 44, "SQL", "prompts, outputs, tokens")
    it.arrow((425, 72), (425, 135), both=True)
    it.text(436, 92, "tasks and plans in, tokens back", anchor="start")
    it.arrow((425, 197), (425, 240), both=True)
    it.text(436, 223, "one attempt, its tokens", anchor="start")
    it.arrow((520, 158), (610, 158), (610, 140), (700, 140))
    it.arrow((520, 178), (610, 178), (610, 198), (700, 198))
    it.arrow((230, 271), (330, 271))
    it.text(280, 262, "the fleet")
    it.box(60, 405, 230, 70, "a GPU box at home", "Ollama, llama.cpp", kind="box")
    it.box(335, 405, 230, 70, "a laptop", "Claude, tools, documents", kind="box")
    it.box(610, 405, 230, 70, "pods", "your own code", kind="box")
    it.arrow((145, 405), (145, 302))
    it.text(155, 362, "beats", anchor="start")
    it.arrow((230, 405), (230, 380), (365, 380), (365, 302), both=True)
    it.arrow((425, 405), (425, 302), both=True)
    it.arrow((690, 405), (690, 380), (485, 380), (485, 302), both=True)
    it.text(500, 345, "one stream each, dialled by the worker: work down, tokens up", anchor="start")
    return it.drawn()


def walk() -> str:
    """The steps of a task, numbered as in docs/concepts.md."""
    it = Picture("The walk of a task, from the client to the model and back", 900, 300)
    places = (("client", 20), ("Planner", 200), ("Router", 380), ("worker", 560), ("model", 740))
    for name, x in places:
        it.box(x, 30, 140, 46, name, kind="box" if name in {"client", "model"} else "own")
    it.box(200, 230, 140, 46, "SQL", "tasks, tokens")
    for number, x in ((1, 160), (3, 340), (4, 520), (5, 700)):
        it.arrow((x, 45), (x + 40, 45))
        it.text(x + 20, 38, str(number), "number")
    for number, x in ((8, 160), (7, 340), (6, 520), (6, 700)):
        it.arrow((x + 40, 64), (x, 64))
        it.text(x + 20, 80, str(number), "number")
    it.arrow((255, 76), (255, 230), both=True)
    it.text(243, 150, "2", "number")
    it.text(270, 130, "stored before the create answers;", anchor="start")
    it.text(270, 148, "an attempt before it is dispatched;", anchor="start")
    it.text(270, 166, "tokens before they are acknowledged", anchor="start")
    it.text(560, 230, "a broken line anywhere here cancels nothing:", anchor="start")
    it.text(560, 248, "both ends come back, and go on after the last", anchor="start")
    it.text(560, 266, "token that was stored", anchor="start")
    return it.drawn()


def main() -> None:
    """Draw both, or compare."""
    wrong = []
    for name, picture in (("mesh.svg", mesh()), ("walk.svg", walk())):
        file = IMAGES / name
        if "--check" not in sys.argv:
            file.write_text(picture, encoding="utf-8")
        elif not file.exists() or file.read_text(encoding="utf-8") != picture:
            wrong.append(name)
    if wrong:
        sys.exit(f"not what scripts/draw.py draws: {', '.join(wrong)}; run it, and commit")


if __name__ == "__main__":
    main()
