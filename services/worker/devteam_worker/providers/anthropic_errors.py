"""What the API's refusals mean for a run. Nothing here hands on a key or what was sent."""

from collections.abc import Mapping

import anthropic
import httpx2
import structlog
from anthropic.types import Message

from devteam_worker.providers.base import FailureReason, Prompt, ProviderError
from devteam_worker.providers.detail import public_detail
from devteam_worker.providers.patience import seconds_asked_for
from devteam_worker.providers.statuses import BY_STATUS

_log = structlog.get_logger()

# What the SDK raises when a connection breaks, or when what came over it made no sense.
BROKEN = (
    anthropic.AnthropicError,
    httpx2.HTTPError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RuntimeError,
)

# An error in the middle of a stream has a type and no status of its own.
_BY_TYPE = {
    "invalid_request_error": FailureReason.INVALID_REQUEST,
    "request_too_large": FailureReason.INVALID_REQUEST,
    "authentication_error": FailureReason.CREDENTIALS,
    "billing_error": FailureReason.CREDENTIALS,
    "permission_error": FailureReason.CREDENTIALS,
    "not_found_error": FailureReason.MODEL_NOT_FOUND,
    "rate_limit_error": FailureReason.RATE_LIMITED,
}


def from_status(error: anthropic.APIStatusError, prompt: Prompt, api_key: str) -> ProviderError:
    """What an error of the API means."""
    reason = _reason(error)
    _log.warning(
        "anthropic answered with an error",
        status=error.status_code,
        type=str(error.type),
        request_id=error.request_id,
        reason=reason,
    )
    detail = public_detail(error.api_message, secrets=[api_key], body=prompt.texts)
    return ProviderError(
        reason, _sentence(reason, prompt.model, detail), retry_after=seconds_asked_for(error.response.headers)
    )


def rate_limited(headers: Mapping[str, str]) -> ProviderError:
    """The API asks for patience."""
    reason = FailureReason.RATE_LIMITED
    return ProviderError(reason, _sentence(reason, "", ""), retry_after=seconds_asked_for(headers))


def from_connection(error: Exception | None = None) -> ProviderError:
    """The connection broke, or what came over it is no answer."""
    _log.warning("the connection to anthropic broke", error_type=type(error).__name__ if error else "early end")
    return ProviderError(
        FailureReason.PROVIDER_CONNECTION,
        "The connection between the worker and Anthropic broke before the answer was complete; it can be tried again.",
    )


def refused(message: Message) -> ProviderError:
    """The model declined to answer."""
    category = message.stop_details.category if message.stop_details else None
    named = f" (category {category})" if category else ""
    return ProviderError(FailureReason.REFUSED, f"{message.model} declined to answer{named}; rephrase the prompt.")


def _reason(error: anthropic.APIStatusError) -> FailureReason:
    status = error.status_code
    if status < 400:
        return _BY_TYPE.get(str(error.type), FailureReason.PROVIDER_UNAVAILABLE)
    if status >= 500:
        return FailureReason.PROVIDER_UNAVAILABLE
    return BY_STATUS.get(status, FailureReason.INVALID_REQUEST)


def _sentence(reason: FailureReason, model: str, detail: str) -> str:
    because = f": {detail}." if detail else "."
    match reason:
        case FailureReason.CREDENTIALS:
            return "Anthropic does not accept the worker's API key for this; check ANTHROPIC_API_KEY on the worker."
        case FailureReason.MODEL_NOT_FOUND:
            return f"Anthropic knows no model for {model!r}; check the name, or the worker's aliases."
        case FailureReason.RATE_LIMITED:
            return "Anthropic asks for patience: the rate limit of the worker's API key is reached."
        case FailureReason.PROVIDER_UNAVAILABLE:
            return "Anthropic is overloaded or failed on its side; it can be tried again."
        case FailureReason.PROVIDER_CONNECTION:
            return "Anthropic gave up waiting for the request; it can be tried again."
        case _:
            return f"Anthropic refused the request as invalid{because}"
