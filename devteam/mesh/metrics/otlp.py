"""Whether metrics go to OTLP, as the environment says it."""

import os

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")


def otlp_wanted() -> bool:
    """An endpoint is configured, and OTEL_METRICS_EXPORTER does not say none."""
    if os.environ.get("OTEL_METRICS_EXPORTER", "").strip().lower() == "none":
        return False
    return any(os.environ.get(name) for name in _ENDPOINTS)
