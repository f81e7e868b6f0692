"""The conformance suite, and our own worker before it."""

import asyncio
from pathlib import Path

import pytest
from devteam_worker.providers import sim
from devteam_worker.providers.sim_options import SimOptions
from devteam_worker.registration import Registration

from devteam.testing.conformance.launch import ByHand
from devteam.testing.conformance.suite import SCENES, chosen, play
from devteam.testing.conformance.verdict import Outcome
from tests.fakes.worker_mutants import MUTANTS, Mutant
from tests.rpc.worker.examined import InProcess, examined, staged

# For what a mutant never does; whatever it does do, it does within milliseconds.
_SHORT = 2.0
_DOCS = Path(__file__).parents[3] / "docs" / "conformance.md"


async def test_our_own_worker_does_what_the_contract_says() -> None:
    """Four of them share the scenes, each in its order: most of the time is spent waiting."""
    names = [scene.name for scene in SCENES]
    parts = await asyncio.gather(*(examined(*names[start::4], patience=20) for start in range(4)))
    verdicts = [verdict for part in parts for verdict in part]
    assert [(one.scene, one.seen) for one in verdicts if one.outcome is not Outcome.PASSED] == []
    assert sorted(one.scene for one in verdicts) == sorted(names)


# A mutant is waited for, in vain: a sample of them shows that the suite sees, all of them (-m slow) that it sees all.
_SAMPLE = [pytest.param(m, id=m.what, marks=[] if n % 4 == 0 else [pytest.mark.slow]) for n, m in enumerate(MUTANTS)]


@pytest.mark.parametrize("mutant", _SAMPLE)
async def test_the_suite_sees_what_is_wrong_with_a_worker(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutant.owner, mutant.name, mutant.make(getattr(mutant.owner, mutant.name)))
    verdicts = await examined(*mutant.scenes, patience=_SHORT)
    assert [one.outcome for one in verdicts] == [Outcome.FAILED] * len(mutant.scenes)
    assert [one.seen for one in verdicts if mutant.scenes[one.scene] not in one.seen] == []


def test_every_scene_is_one_that_some_mutant_fails() -> None:
    assert {name for mutant in MUTANTS for name in mutant.scenes} == {scene.name for scene in SCENES}


async def test_a_worker_that_answers_too_quickly_is_not_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What needs a long answer is skipped, with the reason."""
    monkeypatch.setattr(sim, "read_options", lambda *_, **__: SimOptions(tokens=3))
    verdicts = await examined("streams-its-answer", "keeps-to-the-window", "stops-when-cancelled", patience=_SHORT)
    assert [one.outcome for one in verdicts] == [Outcome.PASSED, Outcome.SKIPPED, Outcome.SKIPPED]
    assert verdicts[2].seen == "the worker answered too quickly"


async def test_a_worker_of_one_router_is_not_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Registration, "_hear_of_routers", lambda *_: None)
    [verdict] = await examined("links-to-every-router", patience=_SHORT)
    assert (verdict.outcome, verdict.optional) == (Outcome.SKIPPED, True)


async def test_a_worker_may_be_started_by_hand() -> None:
    """Its author is asked to, as often as need be; to end it, it is drained."""
    async with staged(patience=5) as stage:
        worker = InProcess(stage.server.url)
        starts: list[asyncio.Task[None]] = []
        wishes: list[str] = []

        def say(line: str) -> None:
            wishes.append(line)
            starts.append(asyncio.create_task(worker.start()))

        stage.launcher = ByHand(stage.server.url, say)
        try:
            verdicts = await play(stage, chosen(["registers", "fresh-instance"]), lambda _: None)
        finally:
            await worker.stop()
    assert [one.outcome for one in verdicts] == [Outcome.PASSED] * 2
    assert (
        wishes == [f"start your worker against {stage.server.url} with queue `conformance`, model `sim`, 2 slots"] * 2
    )


def test_the_documentation_has_every_scene() -> None:
    rows = [f"| `{scene.name}` | {'(optional) ' if scene.optional else ''}{scene.expected} |" for scene in SCENES]
    said = _DOCS.read_text(encoding="utf-8").splitlines()
    assert [line for line in said if line.startswith("| `") and line in rows] == rows
