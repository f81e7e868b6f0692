"""What a Planner that has just started counts."""

from pathlib import Path

from devteam_planner.app import mounted, opened_stores
from devteam_planner.settings import Settings

from devteam.mesh.clock import SystemClock
from devteam.mesh.server import Listen, MeshServer
from tests.fakes.ids import CountingIds
from tests.fakes.scrape import metered, scraped
from tests.stores.attempts import SUCCESS, begun


async def test_models_that_were_in_use_before_a_restart_begin_at_0(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'planner.db'}"
    async with opened_stores(url) as stores:
        await begun(stores.plans)
        assert await stores.plans.end_attempt("p-1.a", 1, None, SUCCESS, SystemClock().now())
    settings = Settings(database_url=url, temporal_address="127.0.0.1:1", router_address="http://127.0.0.1:1")
    server = MeshServer(Listen(port=0), CountingIds())
    async with metered(), mounted(server, settings, SystemClock(), CountingIds()):
        scrape = await scraped()
    assert scrape.value("devteam_tokens_total", model="sim-1", kind="output") == 0
    assert scrape.value("devteam_cost_usd_total", model="sim-1") == 0
