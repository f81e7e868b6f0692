"""What a deployment tells a process, read by what the process reads it with."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
import typer
from devteam_cli.container import SERVICES, command_of
from devteam_cli.main import app
from devteam_planner.settings import Settings as PlannerSettings
from devteam_registry.settings import Settings as RegistrySettings
from devteam_router.settings import Settings as RouterSettings
from devteam_worker.cli import app as worker_app
from devteam_worker.settings import WorkerSettings, load_settings
from devteam_worker.settings_layers import ENVIRONMENT

from devteam.mesh.settings import ServiceSettings, variable
from devteam.mesh.tls import CA_FILE, CERT_FILE, KEY_FILE

SETTINGS: Mapping[str, type[ServiceSettings]] = {
    "registry": RegistrySettings,
    "router": RouterSettings,
    "planner": PlannerSettings,
}
# Read by every command that calls a mesh; the files also by `devteam health`, beside a service.
OF_TLS = {CA_FILE, CERT_FILE, KEY_FILE}
OF_CLIENTS = {"DEVTEAM_API_URL", "DEVTEAM_API_KEY", "DEVTEAM_TENANT", "DEVTEAM_DATA", *OF_TLS}


def known_to(service: str) -> dict[str, str]:
    """The variables of a service, with the fields that they set."""
    kind = SETTINGS[service]
    prefix = str(kind.model_config.get("env_prefix", ""))
    return {variable(prefix, field): field for field in kind.model_fields}


def settings_of(service: str, env: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> ServiceSettings:
    """A service's settings in such an environment. Raises InvalidInput, as the service would."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return SETTINGS[service]()


def worker_settings(env: Mapping[str, str]) -> WorkerSettings:
    """A worker's settings in such an environment. Raises InvalidInput, as the worker would."""
    return load_settings(None, {}, env)


def unknown_variables(module: str, env: Mapping[str, str]) -> list[str]:
    """Variables of ours that nothing in the process reads."""
    ours = {name for name in env if name.startswith("DEVTEAM_")}
    service = module.removeprefix("devteam_")
    if service in SERVICES:
        return sorted(ours - {*known_to(service), *OF_TLS})
    if service == "worker":
        return sorted(ours - {*ENVIRONMENT, *OF_CLIENTS})
    return sorted(ours - {*OF_CLIENTS, "DEVTEAM_DATABASE_URL"})


def misunderstood(words: Sequence[str]) -> str:
    """What the image would not understand of a container's command; empty: nothing."""
    try:
        module, *rest = command_of(words)
    except ValueError as unknown:
        return str(unknown)
    if module == "devteam_worker":
        return "".join(_unknown(typer.main.get_command(worker_app), rest))
    if module == "devteam_cli":
        return "".join(_unknown(typer.main.get_command(app), rest))
    return ""


def _unknown(command: Any, words: Sequence[str]) -> Iterator[str]:
    """Follow sub-commands as far as they go, then look up the options."""
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        name, *words = words
        if name not in command.commands:
            yield f"there is no command {name!r} in {command.name!r}"
            return
        command = command.commands[name]
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for word in words:
        if word.startswith("--") and word.partition("=")[0] not in {*options, "--help"}:
            yield f"{command.name!r} has no option {word}"


def port_of(address: str) -> int:
    """The port in a URL, or in host:port."""
    return int(address.rstrip("/").rpartition(":")[2])


def addresses(value: str) -> list[str]:
    """The addresses in a setting that names one, several with commas between, or a JSON list."""
    return list(json.loads(value)) if value.startswith("[") else value.split(",")
