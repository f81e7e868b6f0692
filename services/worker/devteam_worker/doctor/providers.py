"""Checks of the models that a worker can ask."""

import asyncio
from importlib.util import find_spec
from typing import Any

from devteam.mesh.finding import Finding, ok, problem, skipped, warning
from devteam_worker.doctor.examination import Check, Surroundings
from devteam_worker.providers.base import LocalModel, Provider, ProviderError
from devteam_worker.settings_view import harmless

_ANTHROPIC_KEY = "ANTHROPIC_API_KEY"
_OPENAI_KEY = "OPENAI_API_KEY"
_REFUSES_KEY = (401, 403)
_SHOWN_MODELS = 5


async def anthropic_key(here: Surroundings) -> Finding:
    """Whether Claude models can be asked at all. The key itself is never shown."""
    provider = here.settings.provider
    if provider not in {"auto", "anthropic"}:
        return skipped(f"the provider is {provider}")
    if here.environ.get(_ANTHROPIC_KEY, "").strip():
        return ok(f"{_ANTHROPIC_KEY} is set")
    if provider == "auto":
        return skipped(f"{_ANTHROPIC_KEY} is not set: no Claude models here")
    return problem(f"the provider is anthropic, and {_ANTHROPIC_KEY} is not set", f"set {_ANTHROPIC_KEY}")


async def anthropic_answer(here: Surroundings) -> Finding:
    """Whether the API takes the key."""
    where = harmless("", here.settings.anthropic.base_url) or "Anthropic's API"
    # In a thread, since importing the SDK takes seconds.
    sdk = await asyncio.to_thread(__import__, "anthropic")
    client = sdk.AsyncAnthropic(
        api_key=here.environ[_ANTHROPIC_KEY].strip(),
        base_url=here.settings.anthropic.base_url or None,
        timeout=here.patience,
        max_retries=0,
    )
    return await _listed(here, sdk, client, where, key=_ANTHROPIC_KEY, url="anthropic.baseUrl", limit=1)


async def openai_key(here: Surroundings) -> Finding:
    """Whether there is a server for openai models, and the SDK to ask it with. The key itself is never shown."""
    settings = here.settings
    if settings.provider not in {"auto", "openai"}:
        return skipped(f"the provider is {settings.provider}")
    key = here.environ.get(_OPENAI_KEY, "").strip()
    if not key and not settings.openai.base_url:
        why = f"neither {_OPENAI_KEY} nor openai.baseUrl is set"
        if settings.provider == "auto":
            return skipped(f"{why}: no openai models here")
        return problem(f"the provider is openai, and {why}", f"set {_OPENAI_KEY} or openai.baseUrl")
    if find_spec("openai") is None:
        return problem("the OpenAI SDK is not installed", 'run `pip install "devteam-orchestrator[openai]"`')
    return ok(f"{_OPENAI_KEY} is set" if key else "openai.baseUrl is set")


async def openai_answer(here: Surroundings) -> Finding:
    """Whether the server takes the key, or wants none."""
    base_url = here.settings.openai.base_url
    # In a thread, since importing the SDK takes seconds.
    sdk = await asyncio.to_thread(__import__, "openai")
    client = sdk.AsyncOpenAI(
        # The SDK insists on one.
        api_key=here.environ.get(_OPENAI_KEY, "").strip() or "none",
        base_url=base_url or None,
        timeout=here.patience,
        max_retries=0,
    )
    return await _listed(
        here, sdk, client, harmless("", base_url) or "OpenAI's API", key=_OPENAI_KEY, url="openai.baseUrl"
    )


async def ollama(here: Surroundings) -> Finding:
    """Which models lie on this machine, or where its settings say."""
    settings = here.settings
    if settings.provider not in {"auto", "ollama"}:
        return skipped(f"the provider is {settings.provider}")
    where = harmless("", settings.ollama.host) or "this machine"
    try:
        async with asyncio.timeout(here.patience):
            models = await _ollama_models(settings.ollama.host)
    except (ProviderError, TimeoutError):
        if settings.provider == "ollama" or settings.ollama.host:
            return problem(f"no Ollama answers on {where}", "run `ollama serve` there, or set ollama.host")
        return skipped(f"no Ollama answers on {where}")
    if not models:
        return warning(f"Ollama on {where} has no models", "pull one: ollama pull llama3.2")
    names = [model.name.removeprefix("ollama:") for model in models]
    more = f" and {len(names) - _SHOWN_MODELS} more" if len(names) > _SHOWN_MODELS else ""
    return ok(f"Ollama on {where} has {', '.join(names[:_SHOWN_MODELS])}{more}")


CHECKS = (
    Check("anthropic key", anthropic_key),
    Check("anthropic", anthropic_answer, after="anthropic key"),
    Check("openai key", openai_key),
    Check("openai", openai_answer, after="openai key"),
    Check("ollama", ollama),
)


async def _listed(
    here: Surroundings, sdk: Any, client: Any, where: str, *, key: str, url: str, **limits: int
) -> Finding:
    """What a server says when it is asked for its models; both SDKs are of one make."""
    try:
        async with client, asyncio.timeout(here.patience):
            await client.models.list(**limits)
    except sdk.APIStatusError as error:
        if error.status_code in _REFUSES_KEY:
            return problem(f"{where} refuses the key", f"set {key} to one that is valid")
        return warning(f"{where} answers with an error ({error.status_code})", "try again later")
    except (sdk.APIError, TimeoutError):
        return problem(f"{where} cannot be reached", f"look at this machine's way there: proxy, firewall, {url}")
    return ok(f"{where} answers, and takes the key")


async def _ollama_models(host: str) -> list[LocalModel]:
    provider = await asyncio.to_thread(_ollama, host)
    try:
        return list(await provider.models())
    finally:
        await provider.close()


def _ollama(host: str) -> Provider:
    from devteam_worker.providers.ollama import OllamaProvider

    return OllamaProvider(host)
