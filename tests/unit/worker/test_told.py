"""What a worker's process hears from outside, and from when on."""

import asyncio
import signal
from collections.abc import Iterator

import pytest
from devteam_worker.owner import LOOK_SIGNAL, RESTART_SIGNAL
from devteam_worker.settings import WorkerSettings
from devteam_worker.told import Told

PATIENCE = 60.0


class Present:
    """The file of the worker, as far as it is written here."""

    def __init__(self) -> None:
        self.stops = asyncio.Event()

    def stopping(self) -> None:
        self.stops.set()


def no_settings() -> WorkerSettings:
    raise AssertionError("nobody asked for them")


@pytest.fixture
def signals_as_before() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, RESTART_SIGNAL, LOOK_SIGNAL)
    known = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in known.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("signals_as_before")
async def test_it_hears_from_the_first_step_on() -> None:
    """With that its file appears, by which its owner's commands find the process."""
    present = Present()
    told = Told(present, no_settings, asyncio.Event())  # type: ignore[arg-type]  # all that is needed of it
    async with told.listening():
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL  # which would end the tests, too
        signal.raise_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            await told.to_end()
            await present.stops.wait()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL  # as the second one shall end it at once
