"""How a worker makes itself known to the Registry."""

from devteam.testing.conformance.spec_limits import faults
from devteam.testing.conformance.stage import Stage
from devteam.testing.conformance.verdict import Missed

# A beat may come early, for a reason of the worker's own, but not always.
_TOO_FAST = 0.5
# And late, on a busy machine.
_LATE = 2.0
# Several times as long as a worker takes to try again.
_SILENCE = 0.7


async def registers(stage: Stage) -> str:
    """It registers with a spec within the contract's bounds, and serves queue `conformance` with 2 slots or more."""
    await stage.line()
    request = stage.registry.registrations[-1]
    if wrong := faults(request):
        raise Missed("; ".join(f"{one.field} {one.message}" for one in wrong))
    if stage.slots < 2:
        raise Missed(f"it declares {stage.slots} slots of the queue `conformance`")
    return f"{request.spec.worker_id} registered, with {stage.slots} slots"


async def registers_again(stage: Stage) -> str:
    """Unknown to the Registry, it registers again as the same instance, and attaches with the new token."""
    line = await stage.line()
    before = stage.registry.registrations[-1]
    stage.registry.forget()
    await stage.until(lambda: bool(stage.registry.session), "its beat was answered NOT_FOUND, and it did not register")
    again = stage.registry.registrations[-1]
    if (again.spec.worker_id, again.instance_id) != (before.spec.worker_id, before.instance_id):
        raise Missed(f"it registered as {again.spec.worker_id}, instance {again.instance_id}")
    line = await stage.cut(line)
    if line.attach.session_token != stage.registry.session:
        raise Missed("its next `attach` did not show the new session token")
    return "it registered again, and attached with the new token"


async def beats_at_its_pace(stage: Stage) -> str:
    """It beats at the Registry's pace, with its token, also while a run goes on."""
    await stage.begin(await stage.line())
    interval = stage.registry.wishes.interval = 0.1
    count = len(stage.registry.beats)
    # The first answer tells it the pace.
    await stage.until(lambda: len(stage.registry.beats) >= count + 7, "it beat fewer than 7 times")
    beats = stage.registry.beats[count + 1 : count + 7]
    took = beats[-1].moment - beats[0].moment
    if not _TOO_FAST * 5 * interval <= took <= 2 * 5 * interval + _LATE:
        raise Missed(f"told to beat every {interval:g} s, it took {took:.2f} s for 5 beats")
    for heard in beats:
        if heard.beat.session_token != stage.registry.session:
            raise Missed("it beat without the session token that it was given")
    return f"5 beats in {took:.2f} s, one every {interval:g} s wanted"


async def fresh_instance(stage: Stage) -> str:
    """Started again, it has the same id and another instance id."""
    if not stage.registry.registrations:
        await stage.line()
    before = stage.registry.registrations[-1]
    await stage.restart()
    await stage.line()
    after = stage.registry.registrations[-1]
    if before.spec.worker_id != after.spec.worker_id:
        raise Missed(f"its id was {before.spec.worker_id}, and then {after.spec.worker_id}")
    if before.instance_id == after.instance_id:
        raise Missed(f"its instance id was {before.instance_id} both times")
    return f"instance {before.instance_id}, then {after.instance_id}"


async def superseded_instance(stage: Stage) -> str:
    """Another instance took its id over (INSTANCE_SUPERSEDED): it stops, and tries nothing any more."""
    line = await stage.line()
    instance = stage.registry.registrations[-1].instance_id
    stage.registry.superseded.add(instance)
    stage.registry.forget()
    await stage.until(lambda: line.over, "its beat was answered INSTANCE_SUPERSEDED, and it kept its stream")
    before = (len(stage.router.dials), len(stage.registry.registrations))
    await stage.clock.sleep(_SILENCE)
    dials, registrations = len(stage.router.dials) - before[0], len(stage.registry.registrations) - before[1]
    if dials or registrations:
        raise Missed(f"within {_SILENCE:g} s it attached {dials} times and registered {registrations} times")
    return "it ended its stream, and was not heard of again"
