"""What the parts of a screen look like off a terminal."""

from rich.console import Console, RenderableType


def drawn(*parts: RenderableType) -> list[str]:
    """Their lines, each with the space between its columns made one."""
    console = Console(width=10_000, color_system=None, highlight=False, markup=False, emoji=False)
    with console.capture() as screen:
        console.print(*parts, sep="\n")
    return [" ".join(line.split()) for line in screen.get().splitlines()]
