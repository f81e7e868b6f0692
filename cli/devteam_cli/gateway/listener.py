"""Where the front door listens."""

from devteam_cli.gateway.place import Place
from devteam_cli.gateway.resources import Resource, socket, typed, watched
from devteam_cli.gateway.secrets import CERTIFICATE, asked_for

_HTTP = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
# Seconds of silence until the other side is asked whether it is there, seconds between questions, and how many: for
# those who speak HTTP/1.1, which has no pings. Level and name as Linux has them.
_PROBES = ((1, 9, 1), (6, 4, 30), (6, 5, 10), (6, 6, 3))


def listener(place: Place) -> Resource:
    """The one of a place; what it does with calls stands in shared/."""
    what = watched("traced.yaml" if place.collector else "front.yaml", "shared")
    front = {"name": "front", "config_discovery": {"config_source": what, "type_urls": [_HTTP]}}
    secured = {"transport_socket": _tls()} if place.certificate else {}
    return typed(
        "config.listener.v3.Listener",
        name="front",
        address=socket(place.listen.host, place.listen.port),
        per_connection_buffer_limit_bytes=1_048_576,
        # A second Envoy on this port would start, and take calls away from the first.
        enable_reuse_port=False,
        socket_options=[
            {"level": level, "name": name, "int_value": value, "state": "STATE_LISTENING"}
            for level, name, value in _PROBES
        ],
        filter_chains=[{"filters": [front], "transport_socket_connect_timeout": "10s", **secured}],
    )


def _tls() -> Resource:
    common = {
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
        "tls_certificate_sds_secret_configs": [asked_for(CERTIFICATE)],
    }
    context = typed("extensions.transport_sockets.tls.v3.DownstreamTlsContext", common_tls_context=common)
    return {"name": "envoy.transport_sockets.tls", "typed_config": context}
