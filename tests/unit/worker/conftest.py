import pytest

from tests.unit.worker.listener import Listener


@pytest.fixture
def emit() -> Listener:
    return Listener()
