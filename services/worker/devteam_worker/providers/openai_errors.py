"""What an OpenAI-compatible server's refusals mean for a run. Nothing here hands on a key or what was sent."""

from collections.abc import Mapping

import httpx2
import openai
import structlog

from devteam_worker.providers.base import FailureReason, Prompt, ProviderError
from devteam_worker.providers.detail import public_detail, texts_of
from devteam_worker.providers.patience import seconds_asked_for
from devteam_worker.providers.statuses import BY_STATUS

_log = structlog.get_logger()

# What the SDK raises when a connection breaks, or when what came over it made no sense.
BROKEN = (
    openai.OpenAIError,
    httpx2.HTTPError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RuntimeError,
)

# Words that say more than the status, or stand alone in the middle of a stream: OpenAI's code, llama.cpp's type.
_BY_WORD = {
    "context_length_exceeded": FailureReason.PROMPT_TOO_LARGE,
    "exceed_context_size_error": FailureReason.PROMPT_TOO_LARGE,
    # Comes as a 429, but no patience helps.
    "insufficient_quota": FailureReason.CREDENTIALS,
    "rate_limit_exceeded": FailureReason.RATE_LIMITED,
    "rate_limit_error": FailureReason.RATE_LIMITED,
    "model_not_found": FailureReason.MODEL_NOT_FOUND,
}
# vLLM has no word of its own for it.
_TOO_LONG = "maximum context length"


def from_status(error: openai.APIStatusError, prompt: Prompt, api_key: str) -> ProviderError:
    """What an answer with an error's status means."""
    headers = error.response.headers
    return _from(error, prompt, api_key, status=error.status_code, retry_after=seconds_asked_for(headers))


def from_stream(error: openai.APIError, prompt: Prompt, api_key: str) -> ProviderError:
    """What an error in the middle of an answer means: it has words, and at most a status among them."""
    code = error.code or ""
    return _from(error, prompt, api_key, status=int(code) if code.isdecimal() else 500, retry_after=None)


def from_connection(error: Exception | None = None) -> ProviderError:
    """The connection broke, or what came over it is no answer."""
    _log.warning("the connection to an openai server broke", error_type=type(error).__name__ if error else "early end")
    if isinstance(error and error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout):
        return ProviderError(
            FailureReason.PROVIDER_CONNECTION,
            "The worker's OpenAI-compatible server does not answer: start it, or check openai.baseUrl on the worker.",
        )
    return ProviderError(
        FailureReason.PROVIDER_CONNECTION,
        "The connection between the worker and its OpenAI-compatible server broke before the answer was complete; "
        "it can be tried again.",
    )


def refused(model: str) -> ProviderError:
    """The model, or a filter around it, declined to answer."""
    return ProviderError(FailureReason.REFUSED, f"{model} declined to answer; rephrase the prompt.")


def _from(
    error: openai.APIError, prompt: Prompt, api_key: str, *, status: int, retry_after: float | None
) -> ProviderError:
    message = _message(error)
    reason = _reason(error, status, message)
    _log.warning("an openai server answered with an error", status=status, reason=reason)
    detail = public_detail(message, secrets=[api_key], body=texts_of(prompt))
    return ProviderError(reason, _sentence(reason, prompt.model, detail), retry_after=retry_after)


def _message(error: openai.APIError) -> object:
    """The server's own sentence. The SDK's repeats the whole body."""
    return error.body.get("message") if isinstance(error.body, Mapping) else None


def _reason(error: openai.APIError, status: int, message: object) -> FailureReason:
    for word in (str(error.code), str(error.type)):
        if word in _BY_WORD:
            return _BY_WORD[word]
    if isinstance(message, str) and _TOO_LONG in message:
        return FailureReason.PROMPT_TOO_LARGE
    if status >= 500:
        return FailureReason.PROVIDER_UNAVAILABLE
    return BY_STATUS.get(status, FailureReason.INVALID_REQUEST)


def _sentence(reason: FailureReason, model: str, detail: str) -> str:
    because = f": {detail}." if detail else "."
    match reason:
        case FailureReason.CREDENTIALS:
            return "The OpenAI-compatible server does not accept the worker's key for this; check OPENAI_API_KEY there."
        case FailureReason.MODEL_NOT_FOUND:
            return f"The worker's OpenAI-compatible server has no model for {model!r}; check the name, or its base URL."
        case FailureReason.RATE_LIMITED:
            return "The worker's OpenAI-compatible server asks for patience: a rate limit is reached."
        case FailureReason.PROVIDER_UNAVAILABLE:
            return "The worker's OpenAI-compatible server is overloaded or failed; it can be tried again."
        case FailureReason.PROVIDER_CONNECTION:
            return "The worker's OpenAI-compatible server gave up waiting for the request; it can be tried again."
        case FailureReason.PROMPT_TOO_LARGE:
            return f"The prompt is longer than {model!r} reads at once; shorten it{because}"
        case _:
            return f"The worker's OpenAI-compatible server refused the request as invalid{because}"
