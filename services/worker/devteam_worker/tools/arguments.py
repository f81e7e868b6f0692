"""What a model gave a tool, checked."""

from collections.abc import Mapping

from devteam_worker.tools.base import ToolError


def text(arguments: Mapping[str, object], name: str, default: str | None = None) -> str:
    """A text; without a `default` it must say something. Raises ToolError."""
    value = arguments.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or (default is None and not value.strip()):
        raise ToolError(f"{name}: must be text{'' if default is not None else ' that says something'}.")
    return value


def whole(arguments: Mapping[str, object], name: str, default: int, *, least: int = 1, most: int) -> int:
    """A whole number; one that is too large or too small counts as the nearest. Raises ToolError."""
    value = arguments.get(name, default)
    if isinstance(value, str) and value.strip().lstrip("-").isdecimal():
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ToolError(f"{name}: must be a whole number from {least} to {most}.")
    return min(max(value, least), most)
