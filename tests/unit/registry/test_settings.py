import pytest
from devteam_registry.health import HealthPolicy
from devteam_registry.settings import Settings

from devteam.mesh.errors import InvalidInput


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


def test_contradictory_timings_are_refused_by_their_names() -> None:
    with pytest.raises(InvalidInput) as caught:
        Settings(heartbeat_interval_s=40, lost_after_s=60, deregister_after_s=50)
    assert [(violation.field, violation.message) for violation in caught.value.violations] == [
        (
            "DEVTEAM_REGISTRY_UNHEALTHY_AFTER_S",
            "is 60; must be at least twice DEVTEAM_REGISTRY_HEARTBEAT_INTERVAL_S, which is 40",
        ),
        ("DEVTEAM_REGISTRY_DEREGISTER_AFTER_S", "is 50; must be more than DEVTEAM_REGISTRY_LOST_AFTER_S, which is 60"),
    ]
