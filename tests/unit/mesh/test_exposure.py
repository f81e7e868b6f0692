"""Where a server may listen, and with what."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from devteam_cli.page.server import listening
from structlog.testing import capture_logs

from devteam.mesh.errors import FailedPrecondition, InvalidInput
from devteam.mesh.exposure import lacking, remind
from devteam.mesh.server import Listen, refuse_exposure
from devteam.mesh.settings import ServiceSettings
from devteam.mesh.tls import TlsFiles
from tests.fakes.clock import FakeClock

FILES = TlsFiles(Path("c"), Path("k"), Path("a"))
TLS = {"tls_cert_file": "c", "tls_key_file": "k"}
ANYWHERE = "0.0.0.0"
BOTH, KEYS = "TLS and API keys or client certificates", "API keys or client certificates"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "unix:/run/x"])
def test_this_machine_alone_needs_nothing(host: str) -> None:
    assert lacking(host, tls=False, asks=False) == ""
    refuse_exposure(Listen(host))


@pytest.mark.parametrize(
    ("tls", "keys", "client_certs", "missing"),
    [
        (False, False, False, BOTH),
        (True, False, False, KEYS),
        (False, True, False, "TLS"),
        (True, True, False, ""),
        (True, False, True, ""),
        (True, True, True, ""),
    ],
)
@pytest.mark.parametrize("host", [ANYWHERE, "::", "192.168.0.7", "mesh"])
def test_beyond_it_a_server_speaks_tls_and_asks_who_calls(
    host: str, tls: bool, keys: bool, client_certs: bool, missing: str
) -> None:
    """Or says that it goes without. The settings refuse what the server would."""
    listen = Listen(host, tls=FILES if tls else None, client_certs=client_certs)
    told: dict[str, Any] = {"host": host, "keys": keys, **(TLS if tls else {}), "tls_client_certs": client_certs}
    told |= {"tls_ca_file": "a"} if client_certs else {}
    assert ServiceSettings(**told, insecure=True).insecure
    refuse_exposure(Listen(host, insecure=True), keys=keys)
    if not missing:
        refuse_exposure(listen, keys=keys)
        assert ServiceSettings(**told).host == host
        return
    with pytest.raises(FailedPrecondition) as caught:
        refuse_exposure(listen, keys=keys)
    assert f"because it lacks {missing}. " in caught.value.message
    with pytest.raises(InvalidInput) as refused:
        ServiceSettings(**told)
    assert f"because it lacks {missing} (" in refused.value.message


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"tls_cert_file": "c"}, "TLS_KEY_FILE: goes with TLS_CERT_FILE, and the file of the key is not named"),
        ({"tls_key_file": "k"}, "TLS_KEY_FILE: goes with TLS_CERT_FILE, and the file of the certificate is not named"),
        ({**TLS, "tls_client_certs": True}, "TLS_CLIENT_CERTS: needs TLS_CA_FILE, to ask callers for certificates"),
        ({"tls_client_certs": True}, "TLS_CLIENT_CERTS: needs TLS_CERT_FILE and TLS_CA_FILE, to ask callers for"),
        ({"host": ANYWHERE}, "INSECURE: must be true to listen on 0.0.0.0: anyone who can reach this machine could"),
        ({"host": ANYWHERE, **TLS}, "(KEYS); or listen on 127.0.0.1"),
        ({"host": ANYWHERE, "keys": True}, "(TLS_CERT_FILE, TLS_KEY_FILE); or listen on 127.0.0.1"),
        ({"host": ANYWHERE, **TLS, "keys": True, "metrics_port": 0}, "METRICS_HOST: must be an address of this"),
        ({"metrics_host": ANYWHERE, "metrics_port": 0}, "METRICS_HOST: must be an address of this machine alone, as"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(told: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        ServiceSettings(**told)
    assert said in refused.value.message


def test_settings_that_go_together() -> None:
    told = ServiceSettings(**TLS, tls_ca_file="a", host=ANYWHERE, keys=True, metrics_port=0, metrics_insecure=True)
    assert (told.tls, told.outward_tls, told.metrics_at) == (FILES, FILES, ANYWHERE)
    told = ServiceSettings(tls_ca_file="a", tls_cert_file="", metrics_host="127.0.0.2", metrics_port=0)
    assert (told.tls, told.outward_tls, told.metrics_at) == (None, TlsFiles(ca=Path("a")), "127.0.0.2")
    assert ServiceSettings().outward_tls is None


def test_the_page_asks_nobody_and_so_stays_here() -> None:
    """TLS would not help."""
    for listen in (Listen(ANYWHERE, 0), Listen(ANYWHERE, 0, tls=FILES, client_certs=True)):
        with pytest.raises(FailedPrecondition, match="it asks nobody who they are"):
            listening(listen)
    with listening(Listen(ANYWHERE, 0, insecure=True)) as open_, listening(Listen("127.0.0.1", 0)):
        assert open_.getsockname()[0] == ANYWHERE


class Minutes(FakeClock):
    """Two minutes go by, at once."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) == 3:
            raise TimeoutError


async def test_who_goes_without_is_reminded_every_minute() -> None:
    clock = Minutes()
    with capture_logs() as logs:
        with suppress(TimeoutError):
            await remind(ANYWHERE, "TLS", clock)
        await remind("127.0.0.1", "", clock)
    assert clock.slept == [60.0] * 3
    assert [(line["event"], line["host"], line["missing"]) for line in logs] == [
        ("listening without protection", ANYWHERE, "TLS")
    ] * 3
