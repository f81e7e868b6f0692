"""A channel that outlives its certificates, and many stubs."""

from typing import Any, cast

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from devteam.mesh.pem import PemFiles, Pems
from devteam.mesh.renewing import RenewingChannel

REQUEST = health_pb2.HealthCheckRequest()


class Files:
    """Certificate files that are new when a test says so."""

    def __init__(self) -> None:
        self.new: Pems | None = None

    def read(self) -> Pems:
        return Pems()

    def renewed(self) -> Pems | None:
        new, self.new = self.new, None
        return new


class Call:
    """A call that has begun."""


class Connection:
    """Notes the methods that are made on it; what they are called with is let go."""

    def __init__(self) -> None:
        self.made: list[tuple[str, Any]] = []

    def unary_unary(self, method: str, *_: Any, response_deserializer: Any = None, **__: Any) -> Any:
        self.made.append((method, response_deserializer))
        return lambda *_, **__: Call()

    unary_stream = unary_unary


def a_channel() -> tuple[RenewingChannel, Files, list[Connection]]:
    files, connections = Files(), list[Connection]()

    def connect(_: Pems) -> grpc.aio.Channel:
        connections.append(Connection())
        return cast("grpc.aio.Channel", connections[-1])

    return RenewingChannel(cast("PemFiles", files), connect), files, connections


def check(channel: RenewingChannel) -> None:
    health_pb2_grpc.HealthStub(channel).Check(REQUEST)


CHECK = "/grpc.health.v1.Health/Check", health_pb2.HealthCheckResponse.FromString


def test_a_method_is_made_once_however_many_stubs_call_it() -> None:
    channel, _, (connection,) = a_channel()
    for _ in range(100):
        check(channel)
    assert connection.made == [CHECK]
    assert len(channel._methods) == 1


def test_it_is_made_anew_on_a_new_connection() -> None:
    channel, files, connections = a_channel()
    check(channel)
    files.new = Pems()
    check(channel)
    check(channel)
    assert [connection.made for connection in connections] == [[CHECK], [CHECK]]
    assert len(channel._methods) == 1


def test_one_that_reads_its_answers_in_another_way_is_another() -> None:
    channel, _, (connection,) = a_channel()
    for deserializer in (bytes, str, bytes):
        channel.unary_unary("/m", response_deserializer=deserializer)(b"")
    channel.unary_stream("/m", response_deserializer=bytes)(b"")
    assert connection.made == [("/m", bytes), ("/m", str), ("/m", bytes)]
