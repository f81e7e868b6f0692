import pytest
from devteam_registry.domain import HealthPolicy
from devteam_registry.settings import Settings

from devteam.mesh.errors import FailedPrecondition


def test_the_published_timings_are_the_defaults() -> None:
    """30, 60, 120 and 300 s unless set otherwise."""
    assert Settings().policy() == HealthPolicy(30, 60, 120, 300)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables carry the prefix DEVTEAM_REGISTRY_; lists are JSON."""
    monkeypatch.setenv("DEVTEAM_REGISTRY_PORT", "7999")
    monkeypatch.setenv("DEVTEAM_REGISTRY_ROUTER_ADDRESSES", '["router-1:7402", "router-2:7402"]')
    monkeypatch.setenv("DEVTEAM_REGISTRY_UNHEALTHY_AFTER_S", "61.5")
    settings = Settings()
    assert settings.port == 7999
    assert settings.router_addresses == ["router-1:7402", "router-2:7402"]
    assert settings.policy().unhealthy_after == 61.5


def test_contradictory_timings_are_refused() -> None:
    """The policy cannot be made of them."""
    with pytest.raises(FailedPrecondition):
        Settings(heartbeat_interval_s=40).policy()
