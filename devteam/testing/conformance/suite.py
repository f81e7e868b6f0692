"""All scenes, and how they are played."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from devteam.mesh.errors import InvalidInput, Unavailable, Violation
from devteam.testing.conformance.scenes import (
    answering,
    cancelling,
    connecting,
    leaving,
    reading,
    refusing,
    registering,
    several_routers,
)
from devteam.testing.conformance.stage import Stage
from devteam.testing.conformance.verdict import Missed, Outcome, Skipped, Verdict


@dataclass(frozen=True, slots=True)
class Scene:
    """Something that a worker must do. `play` says what was seen, or raises Missed or Skipped."""

    play: Callable[[Stage], Awaitable[str]]
    # A worker may do without; what it does, it must do as the contract says.
    optional: bool = False

    @property
    def name(self) -> str:
        """As people call it."""
        return self.play.__name__.replace("_", "-")

    @property
    def expected(self) -> str:
        """What the contract expects, in a sentence."""
        return str(self.play.__doc__)


# Those that end the worker's life come last.
SCENES: Sequence[Scene] = (
    Scene(registering.registers),
    Scene(registering.registers_again),
    Scene(registering.beats_at_its_pace),
    Scene(connecting.attaches_first),
    Scene(connecting.beats_on_the_stream),
    Scene(connecting.dials_again_when_unheard),
    Scene(connecting.outlives_its_router),
    Scene(connecting.goes_on_while_its_router_drains),
    Scene(connecting.does_not_fight_for_its_stream),
    Scene(answering.accepts_at_once),
    Scene(answering.streams_its_answer),
    Scene(answering.keeps_to_the_window),
    Scene(answering.resumes_where_it_is_told),
    Scene(answering.repeats_its_report),
    Scene(answering.releases_what_it_does_not_have),
    Scene(refusing.rejects_nothing_else),
    Scene(refusing.rejects_beyond_its_slots),
    Scene(refusing.follows_slots),
    Scene(refusing.rejects_what_it_does_not_serve),
    Scene(cancelling.stops_when_cancelled),
    Scene(cancelling.forgets_what_is_fenced),
    Scene(cancelling.forgets_what_has_ended_and_is_fenced),
    Scene(cancelling.ignores_unknown_runs),
    Scene(reading.takes_large_prompts),
    Scene(reading.keeps_characters_whole),
    Scene(reading.ignores_the_future),
    Scene(several_routers.links_to_every_router, optional=True),
    Scene(several_routers.offers_what_has_lost_its_router, optional=True),
    Scene(several_routers.tells_who_has_lost_a_run, optional=True),
    Scene(leaving.hands_back_at_the_deadline),
    Scene(registering.fresh_instance),
    Scene(registering.superseded_instance),
    Scene(leaving.finishes_before_it_leaves),
)


def chosen(names: Iterable[str]) -> Sequence[Scene]:
    """The scenes of these names, all if there are none. Raises InvalidInput."""
    wanted, known = set(names), {scene.name for scene in SCENES}
    if unknown := sorted(wanted - known):
        sentence = f"there is no scene {', '.join(unknown)}; there are {', '.join(sorted(known))}"
        raise InvalidInput(Violation("--only", "UNKNOWN_SCENE", sentence))
    return [scene for scene in SCENES if not wanted or scene.name in wanted]


async def play(stage: Stage, scenes: Iterable[Scene], tell: Callable[[Verdict], None]) -> Sequence[Verdict]:
    """Play one after the other, and tell of each as it ends. Raises Unavailable when no worker ever comes."""
    verdicts = []
    for scene in scenes:
        verdict = await _played(stage, scene)
        tell(verdict)
        verdicts.append(verdict)
    return verdicts


async def _played(stage: Stage, scene: Scene) -> Verdict:
    begun = stage.clock.monotonic()
    outcome, seen = await _outcome(stage, scene)
    stage.spoiled |= outcome is Outcome.FAILED
    await stage.clear()
    if complaints := stage.complaints():
        outcome, seen = Outcome.FAILED, "; ".join(complaints)
    stage.spoiled |= outcome is Outcome.FAILED
    seconds = round(stage.clock.monotonic() - begun, 3)
    return Verdict(scene.name, outcome, scene.optional, scene.expected, seen, seconds)


async def _outcome(stage: Stage, scene: Scene) -> tuple[Outcome, str]:
    try:
        return Outcome.PASSED, await scene.play(stage)
    except Unavailable as nobody:
        if not stage.had_worker:
            raise
        return Outcome.FAILED, nobody.message
    except Missed as missed:
        return Outcome.FAILED, str(missed)
    except Skipped as skipped:
        return Outcome.SKIPPED, str(skipped)
