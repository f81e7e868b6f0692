"""What a Planner is told by its environment."""

from pathlib import Path

import pytest
from devteam_planner.settings import Settings
from devteam_router.settings import Settings as RouterSettings
from pydantic import SecretStr

from devteam.mesh.errors import InvalidInput
from devteam.mesh.tls import TlsFiles


@pytest.mark.parametrize(
    ("told", "addresses"),
    [
        ("router:7402", ("router:7402",)),
        ("http://a:7402, b:7402,http://a:7402", ("http://a:7402", "b:7402")),
    ],
)
def test_there_may_be_one_router_or_several(
    monkeypatch: pytest.MonkeyPatch, told: str, addresses: tuple[str, ...]
) -> None:
    monkeypatch.setenv("DEVTEAM_PLANNER_ROUTER_ADDRESS", told)
    assert Settings().router_addresses == addresses


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ("a:7402,http://", "'http://' is not of the form http://host:port"),
        ("a:7402,", "'' is not of the form http://host:port"),
        ("router", "'router' is not of the form http://host:port"),
    ],
)
def test_a_router_address_that_is_wrong_is_named(monkeypatch: pytest.MonkeyPatch, told: str, message: str) -> None:
    monkeypatch.setenv("DEVTEAM_PLANNER_ROUTER_ADDRESS", told)
    with pytest.raises(InvalidInput) as refused:
        Settings()
    assert str(refused.value) == f"DEVTEAM_PLANNER_ROUTER_ADDRESS: {message}"


def test_a_takeover_is_over_before_a_router_gives_up_what_nobody_asks_for() -> None:
    assert Settings(takeover_s=45).takeover_s < RouterSettings().orphan_grace_s
    with pytest.raises(InvalidInput, match="DEVTEAM_PLANNER_TAKEOVER_S"):
        Settings(takeover_s=60)


def test_temporal_is_spoken_to_in_plain_text_unless_something_else_is_said() -> None:
    assert Settings().temporal_tls_files is None
    assert Settings(temporal_tls=True).temporal_tls_files == TlsFiles()
    assert Settings(temporal_api_key=SecretStr("k")).temporal_tls_files == TlsFiles()
    told = Settings(temporal_tls_cert_file=Path("c"), temporal_tls_key_file=Path("k"))
    assert told.temporal_tls_files == TlsFiles(Path("c"), Path("k"))
    assert "canary" not in repr(Settings(temporal_api_key=SecretStr("canary")))


def test_a_certificate_for_temporal_has_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVTEAM_PLANNER_TEMPORAL_TLS_CERT_FILE", "c.pem")
    with pytest.raises(InvalidInput) as refused:
        Settings()
    assert str(refused.value) == (
        "DEVTEAM_PLANNER_TEMPORAL_TLS_KEY_FILE: goes with DEVTEAM_PLANNER_TEMPORAL_TLS_CERT_FILE: name both files, or "
        "none"
    )


def test_whoever_asks_for_keys_has_to_know_who_owns_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVTEAM_PLANNER_KEYS", "true")
    with pytest.raises(InvalidInput) as refused:
        Settings()
    assert str(refused.value) == (
        "DEVTEAM_PLANNER_REGISTRY_ADDRESS: must be set where DEVTEAM_PLANNER_KEYS is on: the Registry tells which keys "
        "are valid"
    )
    monkeypatch.setenv("DEVTEAM_PLANNER_REGISTRY_ADDRESS", "http://registry:7401")
    assert Settings().registry_address == "http://registry:7401"
