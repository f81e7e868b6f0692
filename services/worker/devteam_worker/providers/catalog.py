"""Which provider serves which model, and which providers this machine has."""

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
from devteam_worker.models import DEFAULT_ALIASES, resolve
from devteam_worker.providers.base import FailureReason, LocalModel, Provider, ProviderError
from devteam_worker.providers.sim import SimProvider, is_sim, kill_process, refuse_to_crash
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

_ABSENT = MappingProxyType(
    {
        "sim": "this worker does not simulate",
        "anthropic": f"this worker has no Anthropic API key; set {_API_KEY} on it",
        "ollama": "this worker found no Ollama when it started; run `ollama serve` on it and restart it",
        "openai": (
            f"this worker has no OpenAI-compatible server; set {_OPENAI_KEY} or openai.baseUrl on it, and "
            'install "devteam-orchestrator[openai]" there'
        ),
    }
)

_SERVED = MappingProxyType(
    {"sim": ("sim", "sim:*"), "anthropic": ("claude-*",), "ollama": ("ollama:*",), "openai": ("openai:*",)}
)


class Catalog:
    """The providers of one worker by name. With `simulate`, the simulated model stands in for every other one."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        *,
        simulate: bool = False,
        aliases: Mapping[str, str] = DEFAULT_ALIASES,
    ) -> None:
        self.providers = dict(providers)
        self.simulate = simulate
        self.aliases = aliases

    def provider_for(self, model: str) -> Provider:
        """The provider that serves a model as the task names it. Raises ProviderError with what is wrong."""
        name = "sim" if self.simulate else self._provider_name(model)
        if name not in self.providers:
            raise ProviderError(FailureReason.MODEL_NOT_FOUND, f"Model {model!r} is not served here: {_ABSENT[name]}.")
        return self.providers[name]

    def patterns(self) -> tuple[str, ...]:
        """The models served here, as a worker that was told of none advertises them. Empty: every model."""
        if self.simulate:
            return ()
        aliases = (alias for alias in self.aliases if self._provider_name(alias) in self.providers)
        return (*aliases, *(pattern for name in self.providers for pattern in _SERVED[name]))

    def tools(self) -> tuple[str, ...]:
        """Names of the tools that its providers call by themselves, for some of their models."""
        return tuple(dict.fromkeys(name for provider in self.providers.values() for name in provider.tools("")))

    async def local_models(self) -> list[LocalModel]:
        """What lies on this machine, as far as its providers can say now."""
        found: list[LocalModel] = []
        for provider in self.providers.values():
            try:
                found += await provider.models()
            except ProviderError as error:
                _log.warning("a provider cannot list its models", provider=provider.name, reason=error.message)
        return found

    async def close(self) -> None:
        """Close every provider."""
        for provider in self.providers.values():
            await provider.close()

    def _provider_name(self, model: str) -> str:
        resolved = resolve(model, self.aliases)
        if is_sim(resolved):
            return "sim"
        for name in ("ollama", "openai"):
            if resolved.startswith(f"{name}:"):
                return name
        if resolved.startswith("claude-") or model in self.aliases:
            return "anthropic"
        known = ", ".join([*self.aliases, "claude-...", "ollama:...", "openai:...", "sim"])
        raise ProviderError(FailureReason.INVALID_REQUEST, f"No provider knows the model {model!r}; known are {known}.")


async def found_providers(settings: WorkerSettings, clock: Clock, environ: Mapping[str, str] = os.environ) -> Catalog:
    """The providers that settings ask for, or that this machine turns out to have.

    Without any, a worker of a mesh on this machine simulates every model, and a worker of a mesh elsewhere serves the
    model `sim` alone. Raises InvalidInput when the settings ask for a provider that cannot be had.
    """
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
    api_key = environ.get(_API_KEY, "").strip()
    if settings.provider == "anthropic" and not api_key:
        raise InvalidInput(
            Violation("worker.provider", "CREDENTIALS_MISSING", f"is anthropic, but {_API_KEY} is not set")
        )
    found: dict[str, Provider] = {}
    aliases: Mapping[str, str] = settings.aliases
    if settings.provider in {"anthropic", "auto"} and api_key:
        anthropic = await asyncio.to_thread(_anthropic, settings, api_key)
        found["anthropic"] = anthropic
        aliases = await anthropic.learn_aliases()
    if settings.provider == "ollama" or (settings.provider == "auto" and await _listens(*_ollama_address(settings))):
        ollama = await asyncio.to_thread(_ollama, settings, clock)
        if settings.provider == "ollama" or await _answers(ollama):
            found["ollama"] = ollama
        else:
            await ollama.close()
    openai_key = environ.get(_OPENAI_KEY, "").strip()
    if settings.provider in {"openai", "auto"} and _has_openai(settings, openai_key):
        found["openai"] = await asyncio.to_thread(_openai, settings, openai_key)
    return found, aliases


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
