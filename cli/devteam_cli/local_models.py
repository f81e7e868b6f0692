"""Which real models this machine can offer under the names that plans use."""

from collections.abc import Mapping, Sequence

_ALIASES = ("opus", "sonnet", "haiku")
_PATIENCE = 1.0


async def alias_arguments(environ: Mapping[str, str]) -> Sequence[str]:
    """Arguments of devteam-worker that let an Ollama model answer for Claude's names, where only Ollama is there."""
    if environ.get("ANTHROPIC_API_KEY"):
        return ()
    model = await _first_ollama_model(environ.get("OLLAMA_HOST", ""))
    return [part for alias in _ALIASES for part in ("--alias", f"{alias}={model}")] if model else ()


async def _first_ollama_model(host: str) -> str:
    import asyncio

    from devteam_worker.providers.base import ProviderError
    from devteam_worker.providers.ollama import OllamaProvider

    provider = OllamaProvider(host)
    try:
        async with asyncio.timeout(_PATIENCE):
            models = await provider.models()
    except (ProviderError, TimeoutError):
        return ""
    finally:
        await provider.close()
    return models[0].name if models else ""
