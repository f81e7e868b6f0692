"""How long a provider asks to be left alone."""

import math
from collections.abc import Mapping

_LONGEST = 86_400.0


def seconds_asked_for(headers: Mapping[str, str]) -> float | None:
    """Seconds from a Retry-After header, or from its cousin in milliseconds; None when neither is a number.

    Retry-After may also be a date; model providers send none, and a worker's wall clock would have to be believed.
    """
    for name, scale in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            seconds = float(headers.get(name, "")) / scale
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return min(seconds, _LONGEST)
    return None
