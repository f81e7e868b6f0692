"""The page itself: a few files that lie beside this module, and nothing else."""

from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from devteam_cli.page.answers import refusal

_FOLDER = Path(__file__).with_name("static")
_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def page_file(request: Request) -> Response:
    """One of the files; the page for "/"."""
    name = request.path_params.get("name", "index.html")
    content = _files().get(name)
    if content is None:
        return refusal(404, f"there is no {request.url.path}", "the page is at /")
    return Response(content, media_type=_KINDS[Path(name).suffix])


@cache
def _files() -> dict[str, bytes]:
    """All of them, read once: no request names a path on the disk."""
    return {path.name: path.read_bytes() for path in _FOLDER.iterdir() if path.suffix in _KINDS}
