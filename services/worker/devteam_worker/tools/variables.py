"""${NAME} in what the worker's file says of an MCP server: a variable of the worker's own environment."""

import re
from collections.abc import Iterator, Mapping

from devteam_worker.settings_sections import McpServerSettings
from devteam_worker.tools.base import ToolError

_VARIABLE = re.compile(r"\$\{([^{}]*)\}")


def filled(settings: McpServerSettings, environ: Mapping[str, str]) -> McpServerSettings:
    """With every variable of args, env, url and headers in its place.

    Raises ToolError with the names of those that are not set, never with anybody's value.
    """
    if missing := [name for name in dict.fromkeys(_names(settings)) if name not in environ]:
        named = " and ".join(f"${{{name}}}" for name in missing)
        raise ToolError(f"needs {named}, which the worker's environment does not set")

    def put(text: str) -> str:
        return _VARIABLE.sub(lambda found: environ[found[1]], text)

    url = put(settings.url)
    if url and not url.startswith(("http://", "https://")):
        raise ToolError("has a url that does not begin with http:// or https:// once its variables are put in")
    return settings.model_copy(
        update={
            "args": tuple(put(arg) for arg in settings.args),
            "env": {name: put(value) for name, value in settings.env.items()},
            "url": url,
            "headers": {name: put(value) for name, value in settings.headers.items()},
        }
    )


def _names(settings: McpServerSettings) -> Iterator[str]:
    for text in (*settings.args, *settings.env.values(), settings.url, *settings.headers.values()):
        yield from _VARIABLE.findall(text)
