"""Models that are fetched because a task asks for them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import ollama

from devteam.mesh.clock import Clock
from devteam_worker.providers.base import Progress, ProviderError
from devteam_worker.providers.ollama_client import OllamaClient
from devteam_worker.providers.ollama_errors import BROKEN, from_connection, from_pull

# Seconds after which a pull that moves is told of again, though it has not come a percent further: whoever waits for
# it would take it for dead.
_RETELL = 30.0


class Pulls:
    """The pulls of one server. Runs that want the same model share one, which stops once nobody waits for it."""

    def __init__(self, client: OllamaClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._running: dict[str, _Pull] = {}

    async def follow(self, model: str) -> AsyncGenerator[Progress, None]:
        """How far the pull is, until the model is there. Raises ProviderError if it cannot be had."""
        pull = self._running.get(model)
        if pull is None or pull.over:
            pull = self._running[model] = _Pull(self._client, model, self._clock)
        pull.waiting += 1
        try:
            async with aclosing(pull.news()) as news:
                async for text in news:
                    yield Progress(text)
        finally:
            pull.waiting -= 1
            if not pull.waiting:
                if self._running.get(model) is pull:
                    del self._running[model]
                await pull.stop()

    async def close(self) -> None:
        """Stop them all."""
        for pull in tuple(self._running.values()):
            await pull.stop()


class _Pull:
    """One model on its way. `waiting` counts the runs that want it."""

    def __init__(self, client: OllamaClient, model: str, clock: Clock) -> None:
        self.waiting = 0
        self._client = client
        self._model = model
        self._meter = Meter(clock)
        self._text = f"pulling {model}"
        self._failure: ProviderError | None = None
        self._changed = asyncio.Event()
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(lambda _: self._changed.set())

    @property
    def over(self) -> bool:
        """Whether it has ended, well or not."""
        return self._task.done()

    async def news(self) -> AsyncGenerator[str, None]:
        """What there is to tell, the latest only; ends with the pull. Raises ProviderError if it failed."""
        told = ""
        while True:
            changed = self._changed
            if told != self._text:
                told = self._text
                yield told
            elif self._task.done():
                break
            else:
                await changed.wait()
        if self._failure is not None:
            raise self._failure

    async def stop(self) -> None:
        """End it, if it has not ended, and with it Ollama's download."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            await self._fetch()
        except ollama.ResponseError as error:
            self._failure = from_pull(error, self._model)
        except BROKEN as error:
            self._failure = from_connection(error)

    async def _fetch(self) -> None:
        status: str | None = None
        async with aclosing(await self._client.fetch(self._model)) as parts:
            async for part in parts:
                status = part.status
                if (text := self._meter.read(part)) is not None:
                    self._tell(f"pulling {self._model}: {text}")
        if status != "success":
            self._failure = from_connection()

    def _tell(self, text: str) -> None:
        self._text = text
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


class Meter:
    """Turns the server's many reports, some 16 a second, into few."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told_at = clock.monotonic()
        self._layers: dict[str, tuple[int, int]] = {}
        self._percent = -1
        self._bytes = 0

    def read(self, part: ollama.ProgressResponse) -> str | None:
        """What a report says that is worth telling: another percent, or that it still moves."""
        if not part.digest or not part.total:
            return part.status if part.status not in {None, "success", "pulling manifest"} else None
        self._layers[part.digest] = (part.completed or 0, part.total)
        there, total = (sum(column) for column in zip(*self._layers.values(), strict=True))
        percent, now = there * 100 // total, self._clock.monotonic()
        still_moves = there > self._bytes and now - self._told_at >= _RETELL
        # A layer that comes to light makes the whole larger; nobody likes to see it go back.
        if percent <= self._percent and not still_moves:
            return None
        self._percent, self._bytes, self._told_at = max(percent, self._percent), there, now
        return f"{self._percent} % ({there / 1e6:,.0f} of {total / 1e6:,.0f} MB)"
