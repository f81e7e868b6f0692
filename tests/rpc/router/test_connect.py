"""WorkerService.Connect: how a stream begins, and how it ends."""

import asyncio
from typing import Any

import grpc
import pytest
from devteam_router.graces import Graces
from devteam_router.ports import WorkerRemoved

from devteam.mesh.errors import InvalidInput
from devteam.v1 import worker_pb2
from tests.fakes.clock import FakeClock
from tests.fakes.router_samples import a_worker, token_of
from tests.fakes.worker_line import WorkerLine
from tests.rpc.router.mesh import GRACES, Mesh, running

BEAT = worker_pb2.ConnectRequest(beat=worker_pb2.Beat(number=1))


async def ending(line: WorkerLine) -> tuple[grpc.StatusCode, str]:
    """The status that a stream ends with, and its reason."""
    code, error = await line.ended()
    return code, error.reason if error else ""


async def test_a_worker_attaches_and_beats(mesh: Mesh) -> None:
    mesh.register()
    line = mesh.line()
    attached = await line.attach()
    assert attached.beat_interval.ToTimedelta().total_seconds() == GRACES.beat
    assert attached.beat_timeout.ToTimedelta().total_seconds() == GRACES.beat_timeout
    assert (attached.window_bytes, attached.router_id) == (GRACES.window_bytes, "router-1")
    for number in (1, 2):
        await line.say(worker_pb2.ConnectRequest(beat=worker_pb2.Beat(number=number)))
        assert (await line.hear()).beat_ack.number == number


async def test_a_worker_may_attach_before_the_registrys_word_about_it_has_come(clock: FakeClock) -> None:
    async with running(clock, Graces(admission=60)) as mesh:
        attaching = asyncio.create_task(mesh.line().attach())
        attached, _ = await asyncio.wait([attaching], timeout=0.05)
        assert not attached
        mesh.register()
        assert (await attaching).router_id == "router-1"


async def test_the_first_message_must_be_attach(mesh: Mesh) -> None:
    line = mesh.line()
    await line.say(BEAT)
    assert await ending(line) == (grpc.StatusCode.FAILED_PRECONDITION, "PROTOCOL_ORDER")


async def test_a_message_without_content_is_not_attach_either(mesh: Mesh) -> None:
    line = mesh.line()
    await line.say(worker_pb2.ConnectRequest())
    assert await ending(line) == (grpc.StatusCode.FAILED_PRECONDITION, "PROTOCOL_ORDER")


async def test_a_stream_that_ends_before_attach_is_out_of_order(mesh: Mesh) -> None:
    line = mesh.line()
    await line.said_everything()
    assert await ending(line) == (grpc.StatusCode.FAILED_PRECONDITION, "PROTOCOL_ORDER")


async def test_attach_comes_once(mesh: Mesh) -> None:
    line = await mesh.worker()
    again = worker_pb2.Attach(worker_id="w1", instance_id="i1", session_token=token_of("w1"))
    await line.say(worker_pb2.ConnectRequest(attach=again))
    assert await ending(line) == (grpc.StatusCode.FAILED_PRECONDITION, "PROTOCOL_ORDER")


async def test_whoever_says_nothing_is_cut_off(clock: FakeClock) -> None:
    async with running(clock, Graces(attach=0.2)) as mesh:
        assert await ending(mesh.line()) == (grpc.StatusCode.DEADLINE_EXCEEDED, "ATTACH_TIMEOUT")


@pytest.mark.parametrize("known", [False, True])
async def test_a_worker_whose_instance_the_registry_does_not_know_has_to_register(mesh: Mesh, known: bool) -> None:
    if known:
        mesh.register(a_worker(instance="another"))
    line = mesh.line()
    attach = worker_pb2.Attach(worker_id="w1", instance_id="i1", session_token=token_of("w1"))
    await line.say(worker_pb2.ConnectRequest(attach=attach))
    assert await ending(line) == (grpc.StatusCode.NOT_FOUND, "WORKER_NOT_REGISTERED")


@pytest.mark.parametrize("token", ["", "guessed", "nicht geschützt"])
async def test_a_wrong_token_is_refused(mesh: Mesh, token: str) -> None:
    mesh.register()
    line = mesh.line()
    await line.say(
        worker_pb2.ConnectRequest(attach=worker_pb2.Attach(worker_id="w1", instance_id="i1", session_token=token))
    )
    assert await ending(line) == (grpc.StatusCode.PERMISSION_DENIED, "SESSION_INVALID")
    assert not mesh.core.links.connected(a_worker().instance)


async def test_every_wrong_field_of_attach_is_named(mesh: Mesh) -> None:
    line = mesh.line()
    attach = worker_pb2.Attach(worker_id="a b", running=[worker_pb2.RunningAttempt(task_id="t1", queue="default")])
    await line.say(worker_pb2.ConnectRequest(attach=attach))
    code, error = await line.ended()
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert isinstance(error, InvalidInput)
    assert [violation.field for violation in error.violations] == [
        "attach.worker_id",
        "attach.instance_id",
        "attach.running[0].attempt",
    ]


async def test_the_newer_stream_wins(mesh: Mesh) -> None:
    old = await mesh.worker()
    new = await mesh.worker()
    assert await ending(old) == (grpc.StatusCode.ABORTED, "SESSION_SUPERSEDED")
    await new.say(BEAT)
    assert (await new.hear()).beat_ack.number == 1


async def test_a_worker_that_was_removed_has_to_register_again(mesh: Mesh) -> None:
    line = await mesh.worker()
    mesh.core.hear(WorkerRemoved("w1"))
    assert await ending(line) == (grpc.StatusCode.NOT_FOUND, "WORKER_NOT_REGISTERED")


async def test_a_worker_that_closes_its_half_is_let_go(mesh: Mesh) -> None:
    line = await mesh.worker()
    await line.said_everything()
    assert await line.ended() == (grpc.StatusCode.OK, None)
    assert not mesh.core.links.connected(a_worker().instance)


async def test_what_is_said_before_the_half_is_closed_is_heard(mesh: Mesh) -> None:
    line = await mesh.worker()
    await line.say(BEAT)
    await line.said_everything()
    assert (await line.hear()).beat_ack.number == 1
    assert await line.ended() == (grpc.StatusCode.OK, None)


async def test_words_about_an_unknown_run_end_nothing(mesh: Mesh) -> None:
    line = await mesh.worker()
    await line.accept("t9", 4)
    cancel = (await line.hear()).cancel
    assert (cancel.task_id, cancel.attempt, cancel.reason) == ("t9", 4, worker_pb2.CANCEL_REASON_FENCED)
    await line.say(BEAT)
    assert (await line.hear()).beat_ack.number == 1


async def test_a_message_of_the_future_is_ignored(mesh: Mesh) -> None:
    line = await mesh.worker()
    await line.say(worker_pb2.ConnectRequest())
    await line.say(BEAT)
    assert (await line.hear()).beat_ack.number == 1


@pytest.mark.parametrize("attached_first", [True, False])
async def test_bytes_that_are_no_message_end_the_stream(mesh: Mesh, attached_first: bool) -> None:
    mesh.register()
    connect: Any = mesh.channel.stream_stream("/devteam.v1.WorkerService/Connect")
    call = connect()
    if attached_first:
        attach = worker_pb2.Attach(worker_id="w1", instance_id="i1", session_token=token_of("w1"))
        await call.write(worker_pb2.ConnectRequest(attach=attach).SerializeToString())
        assert await asyncio.wait_for(call.read(), 60)
    await call.write(b"\xff\xff\xff")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asyncio.wait_for(call.read(), 60)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == "the request is not a valid message of this RPC"
