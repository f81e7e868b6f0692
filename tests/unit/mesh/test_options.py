"""gRPC ignores an option that it does not know: a misspelt one does nothing, in silence."""

from pathlib import Path

import grpc
import pytest

from devteam.mesh import options

# Known to the Python layer, not to the core.
_ELSEWHERE = {"grpc.so_reuseport"}


@pytest.fixture(scope="module")
def core() -> bytes:
    library = next((Path(grpc.__file__).parent / "_cython").glob("cygrpc*.so"))
    return library.read_bytes()


@pytest.mark.parametrize("name", sorted({name for name, _ in (*options.SERVER, *options.CLIENT)} - _ELSEWHERE))
def test_the_core_of_grpc_knows_every_option(core: bytes, name: str) -> None:
    assert name.encode() in core


def test_a_server_that_is_back_is_found_within_three_seconds() -> None:
    """By chance, gRPC makes a pause a fifth longer than the longest, or shorter."""
    assert int(dict(options.CLIENT)["grpc.max_reconnect_backoff_ms"]) * 1.2 < 3_000
