"""What the status of an HTTP answer means for a run, whichever API gives it."""

from collections.abc import Mapping
from types import MappingProxyType

from devteam_worker.providers.base import FailureReason

BY_STATUS: Mapping[int, FailureReason] = MappingProxyType(
    {
        401: FailureReason.CREDENTIALS,
        402: FailureReason.CREDENTIALS,
        403: FailureReason.CREDENTIALS,
        404: FailureReason.MODEL_NOT_FOUND,
        408: FailureReason.PROVIDER_CONNECTION,
        409: FailureReason.PROVIDER_UNAVAILABLE,
        429: FailureReason.RATE_LIMITED,
    }
)
