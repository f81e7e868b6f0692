"""The metrics of one process."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from devteam.mesh.metrics.otlp import otlp_wanted


@asynccontextmanager
async def process_metrics(service: str, host: str, port: int | None) -> AsyncIterator[int | None]:
    """Collect metrics while the block runs, and serve them at this port, which is yielded; 0 takes a free one.

    None serves nothing; what goes to OTLP does so all the same. Raises FailedPrecondition when nobody can listen there.
    """
    if port is None and not otlp_wanted():
        yield None
        return
    # Half a second of importing, for those who want it.
    from devteam.mesh.metrics.listener import metrics_served
    from devteam.mesh.metrics.provider import metering

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(metering(service, exposed=port is not None))
        if port is not None:
            port = await stack.enter_async_context(metrics_served(host, port))
        yield port
