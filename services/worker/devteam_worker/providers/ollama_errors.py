"""What Ollama's refusals mean for a run. Nothing here hands on a key or what was sent."""

import os
import re

import httpx
import ollama
import structlog

from devteam_worker.providers.base import FailureReason, Prompt, ProviderError
from devteam_worker.providers.detail import public_detail, texts_of
from devteam_worker.providers.ollama_client import TooManyRequests

_log = structlog.get_logger()

# What the client raises when a connection breaks, or when what came over it made no sense.
BROKEN = (httpx.HTTPError, OSError, ValueError, TypeError, LookupError, AttributeError, RuntimeError)

# The server has no code for it, and each of its engines has words of its own.
_TOO_LONG = re.compile(r"exceed.*context|longer than the context", re.IGNORECASE)
_NO_SUCH_MODEL = re.compile(r"file does not exist|not found", re.IGNORECASE)


def from_response(error: ollama.ResponseError, prompt: Prompt, model: str) -> ProviderError:
    """What an error of the server means."""
    status = error.status_code
    _log.warning("ollama answered with an error", status=status, model=model)
    because = _because(error, prompt)
    if status == 404:
        return ProviderError(
            FailureReason.MODEL_NOT_FOUND,
            f"The worker's Ollama has no model {model!r}: run `ollama pull {model}` on the worker.",
        )
    if status in {401, 403}:
        return ProviderError(
            FailureReason.CREDENTIALS, "Ollama does not accept the worker's credentials; check OLLAMA_API_KEY there."
        )
    if isinstance(error, TooManyRequests):
        return ProviderError(
            FailureReason.RATE_LIMITED, f"Ollama asks for patience{because}", retry_after=error.retry_after
        )
    if 400 <= status < 500:
        return ProviderError(FailureReason.INVALID_REQUEST, f"Ollama refused the request as invalid{because}")
    return ProviderError(FailureReason.PROVIDER_UNAVAILABLE, f"The worker's Ollama failed{because}")


def from_connection(error: Exception | None = None) -> ProviderError:
    """The connection broke, or what came over it is no answer."""
    _log.warning("the connection to ollama broke", error_type=type(error).__name__ if error else "early end")
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | ConnectionError):
        return ProviderError(
            FailureReason.PROVIDER_CONNECTION, "The worker's Ollama does not answer: run `ollama serve` on the worker."
        )
    return ProviderError(
        FailureReason.PROVIDER_CONNECTION,
        "The connection between the worker and its Ollama broke before the answer was complete; it can be tried again.",
    )


def is_too_long(error: ollama.ResponseError) -> bool:
    """Whether the server, told to cut nothing, says that a prompt does not fit."""
    return bool(_TOO_LONG.search(str(error.error)))


def too_large(model: str, tokens: int, remedy: str) -> ProviderError:
    """The prompt does not fit into what the model is given to read."""
    return ProviderError(
        FailureReason.PROMPT_TOO_LARGE,
        f"The prompt does not fit into the {tokens} tokens that {model!r} reads at once; shorten it, or {remedy}.",
    )


def from_pull(error: ollama.ResponseError, model: str) -> ProviderError:
    """Why a model could not be pulled."""
    _log.warning("ollama could not pull a model", status=error.status_code, model=model)
    if _NO_SUCH_MODEL.search(str(error.error)):
        return ProviderError(
            FailureReason.MODEL_NOT_FOUND,
            f"There is no model {model!r} to pull for the worker's Ollama; check its name.",
        )
    reason = FailureReason.INVALID_REQUEST if error.status_code == 400 else FailureReason.PROVIDER_UNAVAILABLE
    return ProviderError(reason, f"The worker's Ollama could not pull {model!r}{_because(error)}")


def _because(error: ollama.ResponseError, prompt: Prompt | None = None) -> str:
    secrets = [os.environ.get("OLLAMA_API_KEY", "")]
    detail = public_detail(error.error, secrets=secrets, body=texts_of(prompt) if prompt else [])
    return f": {detail}." if detail else "."
