"""Which provider serves which model."""

from collections.abc import Mapping
from types import MappingProxyType

import structlog

from devteam_worker.models import DEFAULT_ALIASES, resolve
from devteam_worker.providers.base import FailureReason, LocalModel, Provider, ProviderError
from devteam_worker.providers.sim import is_sim

_log = structlog.get_logger()

_ABSENT = MappingProxyType(
    {
        "sim": "this worker does not simulate",
        "anthropic": "this worker has no Anthropic API key; set ANTHROPIC_API_KEY on it",
        "ollama": "this worker found no Ollama when it started; run `ollama serve` on it and restart it",
        "openai": (
            "this worker has no OpenAI-compatible server; set OPENAI_API_KEY or openai.baseUrl on it, and "
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
