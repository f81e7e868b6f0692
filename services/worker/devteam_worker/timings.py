"""When a worker's silence has consequences: what its owner counts on, beside what holds in the mesh."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from devteam_worker.settings_sections import HeartbeatSettings

_log = structlog.get_logger()

# Keys of the worker file's heartbeat section, and the Registry's variables (in seconds) that decide instead.
VARIABLES: Mapping[str, str] = {
    "intervalMs": "DEVTEAM_REGISTRY_HEARTBEAT_INTERVAL_S",
    "unhealthyAfterMs": "DEVTEAM_REGISTRY_UNHEALTHY_AFTER_S",
    "rebalanceAfterMs": "DEVTEAM_REGISTRY_LOST_AFTER_S",
    "deregisterAfterMs": "DEVTEAM_REGISTRY_DEREGISTER_AFTER_S",
}

_FIELDS = {"interval_ms", "unhealthy_after_ms", "rebalance_after_ms", "deregister_after_ms"}


@dataclass(frozen=True, slots=True)
class Timings:
    """The mesh's, in milliseconds; 0: it does not say."""

    interval: int = 0
    unhealthy_after: int = 0
    lost_after: int = 0
    deregister_after: int = 0


class Expectation:
    """What a worker's owner counts on, in the words of its file."""

    def __init__(self, heartbeat: HeartbeatSettings) -> None:
        self._expected: dict[str, int] = heartbeat.model_dump(by_alias=True, include=_FIELDS, exclude_none=True)
        self._has_warned = False

    def compare(self, timings: Timings) -> None:
        """Warn, once, where the mesh's timings are others."""
        in_force = {
            "intervalMs": timings.interval,
            "unhealthyAfterMs": timings.unhealthy_after,
            "rebalanceAfterMs": timings.lost_after,
            "deregisterAfterMs": timings.deregister_after,
        }
        differing = [key for key, expected in self._expected.items() if in_force[key] not in {0, expected}]
        if not differing or self._has_warned:
            return
        self._has_warned = True
        _log.warning(
            "the mesh's timings hold, not those of the worker file",
            file={key: self._expected[key] for key in differing},
            mesh={key: in_force[key] for key in differing},
            advice=f"take them out of the file, or set {_variables(differing)} (seconds) at the Registry",
        )


def of_the_mesh(key: str) -> str:
    """What is to be said of a setting, or a section, that the mesh decides; empty for others."""
    section, _, name = key.partition(".")
    names = [name] if name else list(VARIABLES)
    if section != "heartbeat" or not set(names) <= set(VARIABLES):
        return ""
    return (
        f"the mesh's timings hold: its Registry has them from {_variables(names)}, in seconds; "
        "a worker whose file counts on others says so in its log"
    )


def _variables(keys: Sequence[str]) -> str:
    return ", ".join(VARIABLES[key] for key in keys)
