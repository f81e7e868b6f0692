"""Requests of HTTP as nobody should send them, and a way to send what no client would."""

import asyncio
import ssl
from pathlib import Path

PATIENCE = 20.0
_JSON = {"content-type": "application/json"}
_DEEP = b'{"task":' + b'{"placement":' * 5_000 + b"{}" + b"}" * 5_001

# Method, path, body, headers. Whoever sends them is refused, with a key and without one.
REQUESTS: list[tuple[str, str, bytes, dict[str, str]]] = [
    *(
        ("POST", "/api/tasks", body, _JSON)
        for body in (
            b"{",
            b"[]",
            b"null",
            b'"task"',
            b"\xff\xfe",
            b"{}",
            b'{"task": 5}',
            b'{"task": {"prompt": 5, "model": {}}}',
            b'{"task": {"prompt": "x", "model": "sim", "unknown": 1}}',
            b'{"task": {"prompt": "\\ud800", "model": "sim"}}',
            b'{"task": {"prompt": "x\\u0000", "model": "sim"}}',
            b'{"task": {"prompt": "x", "model": "sim", "placement": {"priority": 1e999}}}',
            b'{"task": {"prompt": "x", "model": "sim", "placement": {"priority": 99999999999999999999}}}',
            b'{"task": {"prompt": "x", "model": "sim", "placement": {"requirements": {"minRamGb": "NaN"}}}}',
            b'{"task": {"prompt": "x", "model": "sim", "policy": {"runTimeout": "-1s"}}}',
            b'{"task": {"prompt": "x", "model": "sim", "policy": {"runTimeout": "9e99s"}}}',
            b'{"task": {"prompt": "' + b"x" * (5 << 20) + b'", "model": "sim"}}',
            _DEEP,
            b"[" * 100_000,
        )
    ),
    *(
        ("GET", path, b"", {})
        for path in (
            "/api/tasks/..%2f..%2fetc%2fpasswd",
            "/api/tasks/../../TASK",
            "/api/tasks/%2e%2e/TASK",
            "/api/tasks/TASK",
            "/api/tasks/TASK%00",
            "/api/tasks/TASK%0d%0ax-api-key:%20x",
            "//api//tasks//TASK",
            "/api/tasks/TASK/",
            "/api/tasks;a=b",
            "/API/TASKS",
            "/api/tasks?pageSize=abc",
            "/api/tasks?pageSize=-1",
            "/api/tasks?pageToken=MTp0LTE%3D&pageToken=b",
            "/api/tasks?unknown=1",
            "/api/plans/TASK:watch",
            "/api/queues/%ff%fe",
            "/devteam.v1.PlannerService/GetTask",
            "/devteam.v1.RouterService/Dispatch",
            "/config_dump",
            "/quitquitquit",
            "/.git/config",
            "/api/traces/" + "f" * 7_000,
        )
    ),
    *(
        (method, "/api/tasks/TASK", b"", {})
        for method in ("DELETE", "PUT", "PATCH", "TRACE", "PROPFIND", "CONNECTED", "get")
    ),
    *(
        ("GET", "/api/tasks/TASK", b"", headers)
        for headers in (
            {"x-http-method-override": "DELETE"},
            {"x-original-url": "/api/keys", "x-rewrite-url": "/api/keys"},
            {"x-envoy-original-path": "/api/keys"},
            {"x-forwarded-for": "127.0.0.1", "x-real-ip": "127.0.0.1"},
            {"x-envoy-upstream-rq-timeout-ms": "1", "x-envoy-max-retries": "99", "x-envoy-retry-on": "5xx,reset"},
            {"grpc-timeout": "99999999H"},
            {"grpc-timeout": "-1S"},
            {"devteam-tenant": "globex"},
            {"x-devteam-tenant": "globex", "tenant": "globex"},
            {"te": "trailers, chunked", "connection": "close, authorization"},
            {"accept-encoding": "gzip;q=x, \x7f"},
        )
    ),
    ("POST", "/devteam.v1.PlannerService/GetTask", b"\x00\x00\x00\x00\x7fabc", {"content-type": "application/grpc"}),
    ("POST", "/api/workers/heartbeat", b'{"workerId": "../../x", "instanceId": "\\n"}', _JSON),
    ("POST", "/api/workers:join", b'{"token": "dtj_guess", "workerId": "w1"}', _JSON),
    ("POST", "/api/tasks", b"task=x", {"content-type": "application/x-www-form-urlencoded"}),
]

GRPC_WEB = [
    b"",
    b"\x00",
    b"\x00\x00\x00\x00\x05ab",
    b"\x00\xff\xff\xff\xff",
    b"\x80\x00\x00\x00\x0fgrpc-status:0\r\n",
    b"\x01\x00\x00\x00\x03abc",
    b"\x7f" * 300,
    b"\x00\x00\x00\x00\x02\xff\xff",
    b"not base64 !!",
    b"\x00\x00\x00\x00\x00" * 500,
]

_HOST = b"host: localhost\r\n"
_KEYED = b"authorization: Bearer KEY\r\n"
_SMUGGLED = b"GET /api/keys HTTP/1.1\r\nhost: localhost\r\n\r\n"
RAW = [
    b"POST /api/tasks HTTP/1.1\r\n"
    + _HOST
    + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    + _SMUGGLED,
    b"POST /api/tasks HTTP/1.1\r\n" + _HOST + b"content-length: 2\r\ncontent-length: 60\r\n\r\n{}" + _SMUGGLED,
    b"POST /api/tasks HTTP/1.1\r\n"
    + _HOST
    + b"transfer-encoding: chunked\r\ntransfer-encoding: x\r\n\r\n0\r\n\r\n"
    + _SMUGGLED,
    b"POST /api/tasks HTTP/1.1\r\n" + _HOST + b"transfer-encoding: chunked\r\n\r\nffffffffffffffff1\r\n{}",
    b"GET /api/tasks/TASK HTTP/1.1\r\n" + _HOST + _KEYED + b"x-a: b\r\n folded: c\r\n\r\n",
    b"GET /api/tasks/TASK HTTP/1.1\r\n" + _HOST + b"x-a: \x00\r\n" + _KEYED + b"\r\n",
    b"GET /api/tasks/TASK HTTP/1.1\r\n" + _HOST + _KEYED + b"authorization: Bearer other\r\n\r\n",
    b"GET /api/tasks/TASK HTTP/1.1\r\n" + _HOST + b"x-api-key: KEY\r\nx-api-key: other\r\n\r\n",
    b"GET /api/tasks/TASK HTTP/1.1\r\n" + _HOST + b"host: evil.example\r\n" + _KEYED + b"\r\n",
    b"GET http://evil.example/api/tasks/TASK HTTP/1.1\r\n" + _HOST + _KEYED + b"\r\n",
    b"GET /api/tasks/TASK HTTP/0.9\r\n\r\n",
    b"GET /api/tasks/TASK\r\n\r\n",
    b"GET  /api/tasks/TASK  HTTP/1.1\r\n" + _HOST + b"\r\n",
    b"GET /api/tasks/TASK HTTP/1.1\r\n" + _HOST + b"x: " + b"y" * 200_000 + b"\r\n\r\n",
    b"GET /api/tasks/TASK HTTP/1.1\r\n" + _HOST + b"".join(b"x-%d: y\r\n" % n for n in range(500)) + b"\r\n",
    b"CONNECT localhost:22 HTTP/1.1\r\n" + _HOST + b"\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x09\x00\x00\x00\x00\x01" * 50,
    b"\x16\x03\x01\x02\x00\x01" * 100,
]


async def spoken(port: int, ca: Path, raw: bytes) -> list[str]:
    """What is said to these bytes over TLS until the line ends or is silent: an item for each answer."""
    trusting = ssl.create_default_context(cafile=str(ca))
    trusting.set_alpn_protocols(["http/1.1"])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname="localhost")
    heard = b""
    try:
        writer.write(raw)
        async with asyncio.timeout(PATIENCE):
            await writer.drain()
            while data := await asyncio.wait_for(reader.read(65_536), 2):
                heard += data
    except (TimeoutError, ConnectionError):
        pass  # it waits for more, or has hung up in the middle of the words
    finally:
        writer.close()
    return [f"HTTP/{answer}" for answer in heard.decode("latin-1").split("HTTP/")[1:]]


def said(answer: str) -> str:
    """The first line."""
    return answer.split("\r\n", 1)[0]
