"""What is said of a line to a mesh."""

import pytest

from devteam.connection import cause_of


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ("failed to connect to all addresses; last error: UNKNOWN: Connection refused", "Connection refused"),
        ("recvmsg:ipv4:127.0.0.1:1: Stream removed (Socket closed)", "Stream removed (Socket closed)"),
        (
            "DNS resolution failed for foo (errors: [A: timed out, AAAA: Domain name not found])",
            "Domain name not found",
        ),
        ("it failed: ", "no connection"),
        ("", "no connection"),
    ],
)
def test_of_a_chain_of_causes_the_last_is_named(message: str, cause: str) -> None:
    assert cause_of(message) == cause
