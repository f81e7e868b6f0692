"""What a Planner is told by its environment."""

import pytest
from devteam_planner.settings import Settings

from devteam.mesh.errors import InvalidInput


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
