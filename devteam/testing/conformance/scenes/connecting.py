"""How a worker keeps its stream to a Router."""

from devteam.mesh.errors import Aborted, Unavailable
from devteam.testing.conformance.attempt import Attempt
from devteam.testing.conformance.line import Line, Policy
from devteam.testing.conformance.stage import Stage
from devteam.testing.conformance.verdict import Missed
from devteam.v1 import worker_pb2

# A worker is back so soon after its Router is.
_RETURN = 3.0
# On top of each bound, for a machine that has other things to do as well.
_SLACK = 1.5
_SUPERSEDED = Aborted("the worker attached anew", reason="SESSION_SUPERSEDED")


async def attaches_first(stage: Stage) -> str:
    """Its first word on a stream is `attach`, with its id, its instance and its token; a second one never comes."""
    line = await stage.cut(await stage.line())
    await stage.small_talk(line)
    registered, attach = stage.registry.registrations[-1], line.attach
    if attach.session_token != stage.registry.session:
        raise Missed("it attached without the session token that it was given")
    if (attach.worker_id, attach.instance_id) != (registered.spec.worker_id, registered.instance_id):
        raise Missed(f"it attached as {attach.worker_id}, instance {attach.instance_id}")
    if attach.running:
        raise Missed(f"with nothing in hand, it attached with {len(attach.running)} runs")
    return "`attach` came first, and once"


async def beats_on_the_stream(stage: Stage) -> str:
    """It beats on the stream at least as often as told, counting from 1, also while a run goes on."""
    line = await stage.cut(await stage.line(), policy=Policy(beat=0.1))
    await stage.begin(line)
    await stage.until(lambda: len(line.beats) >= 6, "it beat fewer than 6 times")
    took, numbers = line.beats[5].moment - line.beats[0].moment, [beat.number for beat in line.beats[:6]]
    if took > 2 * 5 * line.policy.beat + _SLACK:
        raise Missed(f"told to beat every {line.policy.beat:g} s, it took {took:.2f} s for 5 beats")
    if numbers[0] < 1 or numbers != list(range(numbers[0], numbers[0] + 6)):
        raise Missed(f"its beats had the numbers {numbers}")
    return f"5 beats in {took:.2f} s, at least one every {line.policy.beat:g} s wanted"


async def dials_again_when_unheard(stage: Stage) -> str:
    """Without an answer to its beats for `beat_timeout`, it closes the stream and dials again; its run goes on."""
    mute = await stage.cut(await stage.line(), policy=Policy(beat=0.1, beat_timeout=0.6, mute=True))
    attempt = await stage.begin(mute)
    stage.router.policy = Policy()
    line = await stage.next_line(mute, mute.policy.beat_timeout + stage.patience)
    took = line.opened - mute.opened
    if took < mute.policy.beat_timeout * 0.8:
        raise Missed(f"it dialled again after {took:.2f} s; it was told to wait for {mute.policy.beat_timeout:g} s")
    _must_name(line, attempt)
    return f"it dialled again after {took:.2f} s, with its run"


async def outlives_its_router(stage: Stage) -> str:
    """Its Router is gone for a moment: its run goes on, and it is back within 3 s of the Router's return."""
    gone = await stage.line()
    attempt = await stage.begin(gone, until=3)
    await stage.server.stop()
    await stage.clock.sleep(0.5)
    back = stage.clock.monotonic()
    await stage.server.start()
    line = await stage.next_line(gone, _RETURN + _SLACK)
    _must_name(line, attempt)
    attempt.resume(line, attempt.last_seq)
    await attempt.hear(attempt.last_seq + 1)
    return f"it was back after {max(0.0, line.opened - back):.2f} s, with its run"


async def goes_on_while_its_router_drains(stage: Stage) -> str:
    """Its Router goes down (`drain`, REASON_ROUTER): it goes on with its run, and connects again."""
    draining = await stage.line()
    attempt = await stage.begin(draining)
    draining.drain(worker_pb2.Drain.REASON_ROUTER)
    await attempt.hear(attempt.last_seq + 3)
    line = await stage.cut(draining, Unavailable("the router goes down", reason="DRAINING"))
    _must_name(line, attempt)
    attempt.resume(line, attempt.last_seq)
    await attempt.hear(attempt.last_seq + 1)
    return "its run went on, over both streams"


async def does_not_fight_for_its_stream(stage: Stage) -> str:
    """Superseded (SESSION_SUPERSEDED) again and again, it pauses between two tries."""
    line = await stage.line()
    stage.router.refusing = _SUPERSEDED
    before = len(stage.router.dials)
    line.cut(_SUPERSEDED)
    await stage.clock.sleep(1.0)
    tries = len(stage.router.dials) - before
    if tries > 10:
        raise Missed(f"it attached {tries} times within a second")
    return f"{tries} tries within a second"


def _must_name(line: Line, attempt: Attempt) -> None:
    if line.names(attempt.id) is None:
        raise Missed("the next `attach` did not name the run that goes on")
