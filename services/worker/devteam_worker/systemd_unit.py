"""The systemd unit that keeps a worker running."""

import os
import sys
from dataclasses import dataclass
from math import ceil
from pathlib import Path

# Once the drain's deadline has passed, what runs is handed back and the worker takes its leave.
_LEAVE_TAKING = 15
_RESTART_AFTER = 5

_SYSTEM_FOLDER = Path("/etc/systemd/system")


@dataclass(frozen=True, slots=True)
class Service:
    """A worker as a service: of the whole machine (`system`), else of the user who installs it.

    `command` starts this program; `drain_deadline` is in seconds; `run_as` empty leaves the user to systemd.
    """

    worker_id: str
    command: tuple[str, ...]
    data: Path
    config: Path | None
    drain_deadline: float
    system: bool = False
    run_as: str = ""

    @property
    def unit(self) -> str:
        """What systemd calls it."""
        return f"devteam-worker@{self.worker_id}.service"

    @property
    def path(self) -> Path:
        """Where its unit lies."""
        if self.system:
            return _SYSTEM_FOLDER / self.unit
        config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
        return Path(config) / "systemd" / "user" / self.unit

    @property
    def secrets(self) -> Path:
        """Where its variables are set that no file of settings may hold."""
        return self.data / "worker.env"

    def has(self, pid: int) -> bool:
        """Whether that process runs in it already."""
        try:
            return self.unit in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8")
        except OSError:
            return False

    def systemctl(self, *arguments: str) -> tuple[str, ...]:
        """A command to the systemd that runs it."""
        return ("systemctl", *(() if self.system else ("--user",)), *arguments)

    def text(self) -> str:
        """The unit's file."""
        return "\n".join(
            ("[Unit]", *self._unit(), "", "[Service]", *self._service(), "", "[Install]", self._wanted, "")
        )

    def _unit(self) -> list[str]:
        network = ["Wants=network-online.target", "After=network-online.target"] if self.system else []
        return [f"Description=DevTeam worker {self.worker_id}", *network, "StartLimitIntervalSec=0"]

    def _service(self) -> list[str]:
        config = ("--config", str(self.config)) if self.config else ()
        start = (*self.command, "start", "--id", self.worker_id, "--data", str(self.data), *config)
        return [
            "Type=exec",
            *([f"User={self.run_as}"] if self.run_as else []),
            f"ExecStart={' '.join(map(_quoted, start))}",
            "# Takes over the settings that need no new start.",
            "ExecReload=/bin/kill -USR2 $MAINPID",
            "# ANTHROPIC_API_KEY=..., DEVTEAM_API_KEY=...; for its owner's eyes alone (chmod 600).",
            f"EnvironmentFile=-{_escaped(str(self.secrets))}",
            "Restart=always",
            f"RestartSec={_RESTART_AFTER}",
            "# Drained or stopped on purpose, wrong settings, or an id that another has now: no new start would help.",
            "RestartPreventExitStatus=0 78",
            "KillSignal=SIGTERM",
            "# Its tools live until its runs have ended.",
            "KillMode=mixed",
            f"TimeoutStopSec={ceil(self.drain_deadline) + _LEAVE_TAKING}",
            "NoNewPrivileges=yes",
            "UMask=0077",
        ]

    @property
    def _wanted(self) -> str:
        return f"WantedBy={'multi-user' if self.system else 'default'}.target"


def this_command() -> tuple[str, ...]:
    """How to start this program from anywhere."""
    script = Path(sys.argv[0]).absolute()
    if script.name == "devteam-worker" and os.access(script, os.X_OK):
        return (str(script),)
    return (sys.executable, "-m", "devteam_worker")


def _quoted(word: str) -> str:
    """As systemd reads one word of a command line."""
    escaped = _escaped(word.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$"))
    return f'"{escaped}"' if any(letter in escaped for letter in " \t'\";") else escaped


def _escaped(text: str) -> str:
    return text.replace("%", "%%")
