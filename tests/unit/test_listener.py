"""What is connected when a port of tests closes is closed with it, in whichever turn it came."""

import asyncio
import gc
import socket

import pytest

from tests.fakes.listener import Listener


async def _until_it_ends(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


@pytest.mark.parametrize("turns", range(8))
async def test_nothing_stays_open(turns: int) -> None:
    """Whatever does is told of as an error when it is found."""
    listener = Listener(_until_it_ends)
    with socket.create_connection(("127.0.0.1", listener.open())) as client:
        for _ in range(turns):
            await asyncio.sleep(0)
        await listener.cut()
        client.settimeout(30)
        assert _heard(client) == b""
    gc.collect()


async def test_whoever_was_let_in_is_served_to_the_end() -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.set()
        await going.wait()
        writer.write(b"hello")

    came, going = asyncio.Event(), asyncio.Event()
    listener = Listener(greet)
    reader, writer = await asyncio.open_connection("127.0.0.1", port := listener.open())
    await came.wait()
    listener.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    going.set()
    await listener.served()
    assert await reader.read() == b"hello"
    writer.close()


async def test_what_serving_raises_is_not_hidden() -> None:
    async def fail(*_: object) -> None:
        came.set()
        raise AssertionError("as in a test")

    came = asyncio.Event()
    listener = Listener(fail)
    _, writer = await asyncio.open_connection("127.0.0.1", listener.open())
    await came.wait()
    listener.close()
    with pytest.raises(AssertionError, match="as in a test"):
        await listener.served()
    writer.close()


def _heard(client: socket.socket) -> bytes:
    try:
        return client.recv(1)
    except ConnectionResetError:
        return b""
