"""How far a trace reached, told from a file of spans."""

import json
from collections import Counter
from pathlib import Path
from typing import Any


def summary(spans_file: Path) -> str:
    """One sentence about the largest trace in the file; empty when there is none."""
    if not spans_file.exists():
        return ""
    spans = [json.loads(line) for line in spans_file.read_text(encoding="utf-8").splitlines()]
    traces = Counter(span["context"]["trace_id"] for span in spans)
    if not traces:
        return ""
    trace_id, count = traces.most_common(1)[0]
    services = sorted({_service(span) for span in spans if span["context"]["trace_id"] == trace_id})
    return f"trace {trace_id.removeprefix('0x')}: {count} spans, from {' and '.join(services)}"


def _service(span: dict[str, Any]) -> str:
    return str(span["resource"]["attributes"].get("service.name", "?"))
