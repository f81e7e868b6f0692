"""The Router's settings."""

import pytest
from devteam_router.domain import StrategyName
from devteam_router.graces import Graces
from devteam_router.routing import Policy
from devteam_router.settings import Settings

from devteam.mesh.errors import InvalidInput


def test_the_defaults_are_the_published_ones() -> None:
    settings = Settings()
    assert settings.graces == Graces()
    assert settings.policy == Policy(StrategyName.LEAST_LOADED, {})


def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVTEAM_ROUTER_STRATEGY", "capability-match")
    monkeypatch.setenv("DEVTEAM_ROUTER_PREFERENCES", '{"opus": ["gpu-queue"], "haiku": ["cpu-queue", "default"]}')
    monkeypatch.setenv("DEVTEAM_ROUTER_LINK_GRACE_S", "2.5")
    monkeypatch.setenv("DEVTEAM_ROUTER_BEAT_INTERVAL_S", "5")
    monkeypatch.setenv("DEVTEAM_ROUTER_MAX_WAITING_PER_QUEUE", "7")
    monkeypatch.setenv("DEVTEAM_ROUTER_MAX_WAITING_PER_TENANT", "8")
    settings = Settings()
    assert settings.policy == Policy(
        StrategyName.CAPABILITY_MATCH, {"opus": ["gpu-queue"], "haiku": ["cpu-queue", "default"]}
    )
    assert settings.graces == Graces(
        link=2.5, beat=5.0, beat_timeout=15.0, max_waiting_per_queue=7, max_waiting_per_tenant=8
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [("BEAT_INTERVAL_S", "50"), ("LINK_GRACE_S", "-1"), ("STRATEGY", "random"), ("WINDOW_BYTES", "1"), ("PORT", "x")],
)
def test_what_makes_no_sense_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"DEVTEAM_ROUTER_{name}", value)
    with pytest.raises(InvalidInput, match=f"^DEVTEAM_ROUTER_{name}: "):
        Settings()
