"""A box between two networks that lets one reach a port in the other, and nobody come back: a NAT by hand.

python -m tests.e2e.nat_box HOST PORT TO_HOST TO_PORT
"""

import asyncio
import sys


async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry one way, until that ends."""
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except OSError:
        return
    finally:
        writer.close()


async def serve(host: str, port: int, to_host: str, to_port: int) -> None:
    """Forward what comes in at one address to the other, for ever."""

    async def joined(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection(to_host, to_port)
        except OSError:
            writer.close()
            return
        async with asyncio.TaskGroup() as ways:
            ways.create_task(relay(reader, back))
            ways.create_task(relay(there, writer))

    server = await asyncio.start_server(joined, host, port)
    print("Ready", flush=True)  # noqa: T201 - what the test waits for
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
