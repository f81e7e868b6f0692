"""Where the spans of a process go. OpenTelemetry takes one provider a process, so each test has one."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.stored_spans import all_stored_spans

HEAD = """
import asyncio, json, sys
from pathlib import Path
from opentelemetry import trace
from devteam.mesh.telemetry import MeshAddress, configure_telemetry, span_file, telemetry
file = Path(sys.argv[1])

def span(name):
    with trace.get_tracer("test").start_as_current_span(name) as made:
        return made.is_recording()
"""


def said(script: str, file: Path, **environment: str) -> Any:
    """What a script prints, as JSON."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", HEAD + script, str(file)],
        capture_output=True, text=True, timeout=60, check=False, env=kept | environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_process_keeps_its_spans_and_says_who_it_is(tmp_path: Path) -> None:
    file = tmp_path / "traces.db"
    script = """
told = configure_telemetry("devteam-worker", file, instance="w-1")
span("run")
told.shutdown()
resource = trace.get_tracer_provider().resource.attributes
print(json.dumps([resource[key] for key in ("service.name", "service.instance.id", "service.version", "host.name")]))
"""
    name, instance, version, host = said(script, file)
    assert (name, instance) == ("devteam-worker", "w-1")
    assert version
    assert host
    [span] = all_stored_spans(file)
    assert (span.name, span.service) == ("run", "devteam-worker")
    assert (span.attributes["service.instance.id"], span.attributes["host.name"]) == ("w-1", host)


@pytest.mark.parametrize("off", [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}])
def test_tracing_can_be_switched_off(tmp_path: Path, off: dict[str, str]) -> None:
    script = """
told = configure_telemetry("devteam", file, mesh=MeshAddress("http://127.0.0.1:1"))
print(json.dumps([told is None, span("run"), span_file(file) is None]))
"""
    assert said(script, tmp_path / "traces.db", **off) == [True, False, True]


def test_an_otlp_endpoint_wins(tmp_path: Path) -> None:
    script = """
told = configure_telemetry("devteam", file)
print(json.dumps([type(told._processor.span_exporter).__name__, span_file(file) is None]))
"""
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    assert said(script, tmp_path / "traces.db", **endpoint) == ["OTLPSpanExporter", True]


def test_a_collector_that_does_not_answer_holds_up_no_process(tmp_path: Path) -> None:
    script = """
import time
told = configure_telemetry("devteam", file)
span("run")
begun = time.monotonic()
told.shutdown()
print(json.dumps(time.monotonic() - begun))
"""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        where = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{deaf.getsockname()[1]}"}
        assert said(script, tmp_path / "traces.db", **where, OTEL_EXPORTER_OTLP_TIMEOUT="50") < 20


def test_without_a_file_spans_go_to_the_mesh(tmp_path: Path) -> None:
    script = """
told = configure_telemetry("devteam-worker", None, mesh=MeshAddress("http://127.0.0.1:1", "dt-key"))
print(json.dumps([type(told._processor.span_exporter).__name__, configure_telemetry("devteam", None) is None]))
"""
    assert said(script, tmp_path / "traces.db") == ["MeshExporter", True]


def test_a_program_keeps_its_own_provider(tmp_path: Path) -> None:
    file = tmp_path / "traces.db"
    script = """
from opentelemetry.sdk.trace import TracerProvider
own = TracerProvider()
trace.set_tracer_provider(own)
told = configure_telemetry("devteam-worker", file)
print(json.dumps([told is None, trace.get_tracer_provider() is own, span("run")]))
"""
    assert said(script, file) == [True, True, True]
    assert not file.exists()


def test_what_stops_and_starts_again_is_heard_again(tmp_path: Path) -> None:
    """As a DevTeamWorker does in a program that goes on; of two at a time, the first sends for both."""
    file = tmp_path / "traces.db"
    script = """
async def main():
    async with telemetry("devteam-worker", file):
        span("first")
        async with telemetry("devteam-worker", None, mesh=MeshAddress("http://127.0.0.1:1")):
            span("beside it")
    span("nobody listens")
    async with telemetry("devteam-worker", file):
        span("second")

asyncio.run(main())
print(json.dumps(None))
"""
    said(script, file)
    assert sorted(span.name for span in all_stored_spans(file)) == ["beside it", "first", "second"]
