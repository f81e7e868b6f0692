"""Who may ask the page's server for what, and what a browser may do with its answers."""

import httpx
import pytest

from devteam.testing import FakeMesh
from tests.rpc.page.serving import browsing, page_of


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("localhost:7480", 200),
        ("LOCALHOST", 200),
        ("[::1]:7480", 200),
        ("192.0.2.7:80", 200),
        ("mesh.example:7480", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example", 403),
        ("user@evil.example", 403),
        ("[::1", 403),
        ("", 403),
    ],
)
async def test_only_names_that_are_ours_are_answered(host: str, status: int) -> None:
    """A name elsewhere that resolves to this machine lets its page read nothing."""
    async with FakeMesh() as mesh, page_of(mesh, names=["mesh.example"]) as url, browsing(url) as http:
        for path in ("/", "/page/mesh", "/page/live" if status == 403 else "/main.js"):
            answer = await http.get(path, headers={"host": host})
            assert answer.status_code == status
        if status == 403:
            assert "--allow-host" in answer.json()["advice"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_nothing_can_be_changed(method: str) -> None:
    async with FakeMesh() as mesh, page_of(mesh) as url, browsing(url) as http:
        for path in ("/", "/page/mesh", "/page/tasks/t"):
            assert (await http.request(method, path)).status_code == 405


async def test_a_browser_is_bound_to_what_this_server_sends() -> None:
    async with FakeMesh() as mesh, page_of(mesh) as url, browsing(url) as http:
        answers = [await http.get(path) for path in ("/", "/main.js", "/page/mesh", "/page/tasks/nobody", "/nothing")]
        for answer in answers:
            check_headers(answer)
        page, script, data, *_ = answers
        kinds = [answer.headers["content-type"] for answer in (page, script, data)]
        assert kinds == ["text/html; charset=utf-8", "text/javascript; charset=utf-8", "application/json"]


def check_headers(answer: httpx.Response) -> None:
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert {policy[kind] for kind in ("script-src", "style-src", "connect-src", "img-src")} == {"'self'"}
    assert {policy[kind] for kind in ("base-uri", "form-action", "frame-ancestors")} == {"'none'"}
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in answer.headers
    assert "server" not in answer.headers
