"""Who may ask the page's server for what, and what a browser may do with the answers."""

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from devteam_cli.page.answers import refusal
from devteam_cli.page.untraced import untraced

# Nothing but this server's own files: no inline script or style, no frame, no form, nobody else's anything.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-cache",
}


class Guard:
    """Lets pass what only looks, and was sent to a name that is ours.

    A page elsewhere can make its own name resolve to this machine and read what we answer (DNS rebinding); an address,
    unlike a name, cannot be pointed anywhere. `names` are the names that are ours beside localhost.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str] = ()) -> None:
        self._app = app
        self._names = {"localhost", *(name.lower() for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or let the app answer; with the headers that bind a browser."""
        if scope["type"] != "http":
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        with untraced():
            await self._chosen(scope)(scope, receive, send_guarded)

    def _chosen(self, scope: Scope) -> ASGIApp:
        host = Headers(scope=scope).get("host", "")
        if not self._is_ours(host):
            return refusal(
                403,
                f"{host[:200]!r} is no name of this server",
                "use its address, or start `devteam ui` with --allow-host and this name",
            )
        if scope["method"] not in {"GET", "HEAD"}:
            return refusal(405, "this page only looks", "use the devteam command to change things")
        return self._app

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name.lower() in self._names or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
