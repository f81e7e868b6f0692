"""An MCP server as a script, written on the bare wire of 2025-11-25, that misbehaves as its argument says."""

import json
import os
import signal
import sys
import time
from typing import Any

SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}}
LIE = {"name": "lie", "inputSchema": SCHEMA, "outputSchema": {"type": "object", "required": ["truth"]}}
TOOLS = [LIE, *({"name": name, "inputSchema": SCHEMA} for name in ("echo", "exit", "latin", "flood"))]


def reply(message: dict[str, Any], **outcome: object) -> None:
    say({"id": message["id"], **outcome})


def say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def serve(message: dict[str, Any], way: str) -> None:
    match message["method"]:
        case "initialize":
            version, server = message["params"]["protocolVersion"], {"name": "odd", "version": "1"}
            reply(message, result={"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": server})
        case "tools/list":
            reply(message, result={"tools": TOOLS})
            if way == "chatty":
                say({"method": "notifications/tools/list_changed"})
                sys.stdout.write("what is no message\n")
                sys.stderr.write("x" * 5000 + "\n")
                sys.stderr.flush()
            if way == "deaf":
                time.sleep(3600)
        case "tools/call":
            call(message)
        case _ if "id" in message:
            reply(message, error={"code": -32601, "message": "Method not found"})


def call(message: dict[str, Any]) -> None:
    match message["params"]["name"]:
        case "exit":
            sys.exit(0)
        case "latin":
            os.write(1, b"un caf\xe9\n")
            result = json.dumps({"content": [{"type": "text", "text": "un caf?"}]}).encode().replace(b"?", b"\xe9")
            os.write(1, b'{"jsonrpc": "2.0", "id": %s, "result": %s}\n' % (json.dumps(message["id"]).encode(), result))
        case "flood":
            for _ in range(1000):
                sys.stdout.write("what is no message\n")
                say({"method": "notifications/tools/list_changed"})
            reply(message, result={"content": []})
        case _:
            structured = {"said": message["params"]["arguments"].get("text", ""), "pid": os.getpid()}
            reply(message, result={"content": [], "structuredContent": structured})


def main(way: str) -> None:
    if way == "broken":
        sys.exit("I have no disk")
    if way == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if way == "mute":
        sys.stdin.read()
    for line in sys.stdin:
        serve(json.loads(line), way)
    while way == "stubborn":
        time.sleep(1)


if __name__ == "__main__":
    main(sys.argv[1])
