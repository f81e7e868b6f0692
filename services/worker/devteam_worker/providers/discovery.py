"""Which providers this machine has."""

import asyncio
import os
from collections.abc import Mapping
from importlib.util import find_spec
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog

from devteam.mesh.address import is_loopback, target_of
from devteam.mesh.clock import Clock
from devteam.mesh.errors import InvalidInput, Violation
from devteam.mesh.redaction import keep_hidden
from devteam_worker.providers.base import Provider, ProviderError
from devteam_worker.providers.catalog import Catalog
from devteam_worker.providers.sim import SimProvider, kill_process, refuse_to_crash
from devteam_worker.settings import WorkerSettings

if TYPE_CHECKING:
    from devteam_worker.providers.anthropic import AnthropicProvider

_log = structlog.get_logger()

_API_KEY = "ANTHROPIC_API_KEY"
_OPENAI_KEY = "OPENAI_API_KEY"
_OPENAI_EXTRA = 'the OpenAI SDK is not installed; run `pip install "devteam-orchestrator[openai]"`'
# For tests of what happens when a worker dies: lets a task's option end this process.
_CRASH = "DEVTEAM_SIM_CRASH"
_OLLAMA_PATIENCE = 1.0
_OLLAMA_PORT = 11434
_WEB_PORTS = MappingProxyType({"http": 80, "https": 443})


def refuse_unservable(settings: WorkerSettings, environ: Mapping[str, str] = os.environ) -> None:
    """Raise InvalidInput when the settings ask for a provider that cannot be had here. Asks nobody."""
    if settings.provider == "anthropic" and not environ.get(_API_KEY, "").strip():
        raise InvalidInput(
            Violation("worker.provider", "CREDENTIALS_MISSING", f"is anthropic, but {_API_KEY} is not set")
        )
    if settings.provider == "openai":
        _has_openai(settings, environ.get(_OPENAI_KEY, "").strip())


async def found_providers(settings: WorkerSettings, clock: Clock, environ: Mapping[str, str] = os.environ) -> Catalog:
    """The providers that settings ask for, or that this machine turns out to have.

    Without any, a worker of a mesh on this machine simulates every model, and a worker of a mesh elsewhere serves the
    model `sim` alone. Raises InvalidInput when the settings ask for a provider that cannot be had.
    """
    refuse_unservable(settings, environ)
    sim = _sim(settings, clock, crash_on_demand=environ.get(_CRASH) == "1")
    real, aliases = await _real_providers(settings, clock, environ)
    simulate = settings.provider == "sim" or (not real and _is_here(settings.api_url))
    return Catalog({"sim": sim, **real}, simulate=simulate, aliases=aliases)


def _sim(settings: WorkerSettings, clock: Clock, *, crash_on_demand: bool) -> SimProvider:
    return SimProvider(
        clock,
        tokens_per_second=settings.sim.tokens_per_second,
        first_token_ms=settings.sim.first_token_ms,
        crash=kill_process if crash_on_demand else refuse_to_crash,
    )


async def _real_providers(
    settings: WorkerSettings, clock: Clock, environ: Mapping[str, str]
) -> tuple[dict[str, Provider], Mapping[str, str]]:
    """Those that this machine has, and what short names of models stand for, as far as they know better."""
    found: dict[str, Provider] = {}
    aliases: Mapping[str, str] = settings.aliases
    anthropic_key, openai_key = environ.get(_API_KEY, "").strip(), environ.get(_OPENAI_KEY, "").strip()
    keep_hidden(anthropic_key, openai_key)
    if anthropic := await _found_anthropic(settings, anthropic_key):
        found["anthropic"] = anthropic
        aliases = await anthropic.learn_aliases()
    if ollama := await _found_ollama(settings, clock):
        found["ollama"] = ollama
    if openai := await _found_openai(settings, openai_key):
        found["openai"] = openai
    return found, aliases


async def _found_anthropic(settings: WorkerSettings, api_key: str) -> "AnthropicProvider | None":
    if settings.provider not in {"anthropic", "auto"} or not api_key:
        return None
    return await asyncio.to_thread(_anthropic, settings, api_key)


async def _found_ollama(settings: WorkerSettings, clock: Clock) -> Provider | None:
    if settings.provider == "ollama":
        return await asyncio.to_thread(_ollama, settings, clock)
    if settings.provider != "auto" or not await _listens(*_ollama_address(settings)):
        return None
    ollama = await asyncio.to_thread(_ollama, settings, clock)
    if await _answers(ollama):
        return ollama
    await ollama.close()
    return None


async def _found_openai(settings: WorkerSettings, api_key: str) -> Provider | None:
    if settings.provider not in {"openai", "auto"} or not _has_openai(settings, api_key):
        return None
    return await asyncio.to_thread(_openai, settings, api_key)


def _has_openai(settings: WorkerSettings, api_key: str) -> bool:
    """Whether there is a server to ask, and the SDK to ask it with. Raises InvalidInput if both were asked for."""
    if not api_key and not settings.openai.base_url:
        missing, why = "CREDENTIALS_MISSING", f"neither {_OPENAI_KEY} nor openai.baseUrl is set"
    elif find_spec("openai") is None:
        missing, why = "EXTRA_MISSING", _OPENAI_EXTRA
    else:
        return True
    if settings.provider == "openai":
        raise InvalidInput(Violation("worker.provider", missing, f"is openai, but {why}"))
    if missing == "EXTRA_MISSING":
        _log.warning("openai models are not served", why=why)
    return False


def _ollama_address(settings: WorkerSettings) -> tuple[str, int]:
    """Where Ollama would listen: host and port of OLLAMA_HOST, which may lack a scheme, a host or a port."""
    host = settings.ollama.host
    parts = urlsplit(host if "://" in host else f"//{host}")
    return parts.hostname or "127.0.0.1", parts.port or _WEB_PORTS.get(parts.scheme, _OLLAMA_PORT)


async def _listens(host: str, port: int) -> bool:
    """Whether anybody listens there. Asked first, because importing the client takes longer than all the rest."""
    try:
        async with asyncio.timeout(_OLLAMA_PATIENCE):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    await writer.wait_closed()
    return True


def _anthropic(settings: WorkerSettings, api_key: str) -> "AnthropicProvider":
    """In a thread, since importing the SDK takes seconds."""
    from devteam_worker.providers.anthropic import AnthropicProvider

    return AnthropicProvider(api_key, base_url=settings.anthropic.base_url, aliases=settings.aliases)


def _ollama(settings: WorkerSettings, clock: Clock) -> Provider:
    """In a thread, since importing the client takes half a second."""
    from devteam_worker.providers.ollama import OllamaProvider

    told = settings.ollama
    return OllamaProvider(
        told.host,
        aliases=settings.aliases,
        auto_pull=told.auto_pull,
        keep_alive=told.keep_alive,
        num_ctx=told.num_ctx,
        clock=clock,
    )


def _openai(settings: WorkerSettings, api_key: str) -> Provider:
    """In a thread, since importing the SDK takes seconds."""
    from devteam_worker.providers.openai import OpenAIProvider

    return OpenAIProvider(api_key, base_url=settings.openai.base_url, aliases=settings.aliases)


async def _answers(provider: Provider) -> bool:
    try:
        async with asyncio.timeout(_OLLAMA_PATIENCE):
            await provider.models()
    except (ProviderError, TimeoutError):
        return False
    return True


def _is_here(api_url: str) -> bool:
    """Whether the mesh is on this machine."""
    target, _ = target_of(api_url)
    return is_loopback(target if target.startswith("unix:") else target.rpartition(":")[0])
