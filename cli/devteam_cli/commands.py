"""The commands of `devteam`. Each is imported once it is asked for: all of them cost more than most of them do."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

# In the order of the help: a command's name, and where in this package its function or its own commands are.
_PLACES = {
    "up": "up:up",
    "ui": "ui:ui",
    "demo": "demo:demo",
    "whoami": "whoami:whoami",
    "status": "status:status",
    "doctor": "doctor.command:doctor",
    "health": "health:health",
    "workers": "workers:list_workers",
    "drain": "drain:drain",
    "queues": "queues:list_queues",
    "explain": "explain:explain",
    "trace": "trace:trace",
    "top": "top:top",
    "events": "events:events",
    "erase": "erase:erase",
    "migrate": "migrate:migrate",
    "simulate": "simulate:simulate",
    "task": "task:app",
    "plan": "plan:app",
    "worker": "workers:app",
    "queue": "queues:app",
    "routing": "routing:app",
    "keys": "keys:app",
    "join-token": "join_token:app",
    "conformance": "conformance:app",
    "certs": "certs.command:app",
    "gateway": "gateway.command:app",
    "encryption": "encryption:app",
}


class Commands(TyperGroup):
    """All of them."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given | {"commands": _Imported()})


class _Imported(Mapping[str, Any]):
    """The commands by their names: a look imports the one that is looked at."""

    def __getitem__(self, name: str) -> Any:
        return _command(name, *_PLACES[name].split(":"))

    def __iter__(self) -> Iterator[str]:
        return iter(_PLACES)

    def __len__(self) -> int:
        return len(_PLACES)


def _command(name: str, module: str, attribute: str) -> Any:
    found = getattr(import_module(f"devteam_cli.{module}"), attribute)
    alone = typer.Typer(rich_markup_mode=None)
    if isinstance(found, typer.Typer):
        alone.add_typer(found, name=name)
    else:
        alone.command(name)(found)
    return typer.main.get_group(alone).commands[name]
