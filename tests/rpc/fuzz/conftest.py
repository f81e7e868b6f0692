import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from tests.rpc.fuzz.storm import FRAMES, NIGHTLY_FRAMES


@pytest.fixture(autouse=True)
def nothing_unexpected() -> Iterator[None]:
    """Tens of thousands of refusals are not worth a line each; what a server did not expect must not happen at all."""
    unexpected: list[str] = []

    def collect(_logger: object, _method: str, event: Any) -> Any:
        unexpected.append(str(event)[-3000:])
        raise structlog.DropEvent

    known = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        processors=[structlog.processors.format_exc_info, collect],
    )
    yield
    structlog.configure(**known)
    assert unexpected == []


@pytest.fixture(
    params=[
        pytest.param(FRAMES, id="sample"),
        pytest.param(NIGHTLY_FRAMES, id="nightly", marks=pytest.mark.slow),
    ]
)
def frames(request: pytest.FixtureRequest) -> int:
    """How many frames all storms send in sum. Each run has new dice, so that samples add up."""
    return int(request.param)
