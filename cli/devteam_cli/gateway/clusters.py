"""The services behind the front door, as Envoy finds and watches them."""

import ipaddress
from collections.abc import Iterator

from devteam.mesh.tls import TlsFiles
from devteam_cli.gateway.place import Address, Place
from devteam_cli.gateway.resources import Resource, socket, typed
from devteam_cli.gateway.secrets import UPSTREAM_CA, UPSTREAM_CERTIFICATE, asked_for

_SERVICES = {"registry": "RegistryService", "router": "RouterService", "planner": "PlannerService"}
# Enough for 10,000 workers with a stream each, and as many who watch; Envoy's own limit is 1,024.
_MOST = {"max_connections": 1_000, "max_pending_requests": 20_000, "max_requests": 100_000, "max_retries": 50}
_HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
# What servers of the mesh let pass is a ping every 5 s.
_HTTP2 = {
    "connection_keepalive": {"interval": "10s", "timeout": "5s"},
    "initial_stream_window_size": 262_144,
    "initial_connection_window_size": 16_777_216,
}


def clusters(place: Place) -> Iterator[Resource]:
    """All of a place."""
    for name, address in (("registry", place.registry), ("router", place.router), ("planner", place.planner)):
        yield _service(name, address, place)
    if place.page is not None:
        yield _cluster("page", place.page)
    if place.collector is not None:
        yield _cluster("collector", place.collector) | _speaking(_HTTP2)


def _service(name: str, address: Address, place: Place) -> Resource:
    secured = {"transport_socket": _tls(place.upstream, address.host)} if place.upstream else {}
    return (
        _cluster(name, address)
        | {
            "lb_policy": "ROUND_ROBIN",
            "health_checks": [_health_check(name)],
            "circuit_breakers": {"thresholds": [_MOST]},
            "upstream_connection_options": {"tcp_keepalive": {"keepalive_time": 30, "keepalive_interval": 10}},
        }
        | _speaking(_HTTP2)
        | secured
    )


def _cluster(name: str, address: Address) -> Resource:
    """Where there are several behind one name, all of them are called in turn."""
    endpoint = {"address": socket(address.host, address.port), "hostname": address.host}
    return typed(
        "config.cluster.v3.Cluster",
        name=name,
        type="STRICT_DNS",
        dns_lookup_family="V4_PREFERRED",
        connect_timeout="2s",
        load_assignment={"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}]},
    )


def _health_check(name: str) -> Resource:
    """Where all say that they cannot work, they are called all the same: they can say why, and Envoy cannot."""
    return {
        "timeout": "2s",
        "interval": "5s",
        "no_traffic_interval": "5s",
        "unhealthy_interval": "1s",
        "no_traffic_healthy_interval": "5s",
        "healthy_threshold": 1,
        "unhealthy_threshold": 2,
        "grpc_health_check": {"service_name": f"devteam.v1.{_SERVICES[name]}"},
    }


def _speaking(http2: Resource) -> Resource:
    options = typed(_HTTP.removeprefix("envoy."), explicit_http_config={"http2_protocol_options": http2})
    return {"typed_extension_protocol_options": {_HTTP: options}}


def _tls(upstream: TlsFiles, host: str) -> Resource:
    common: Resource = {"alpn_protocols": ["h2"], "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"}}
    if upstream.ca:
        common |= _trusted(host)
    if upstream.cert:
        common["tls_certificate_sds_secret_configs"] = [asked_for(UPSTREAM_CERTIFICATE)]
    context = typed(
        "extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        common_tls_context=common,
        auto_host_sni=True,
        # The name that was dialled has to stand in the certificate.
        auto_sni_san_validation=bool(upstream.ca) and not _is_ip(host),
    )
    return {"name": "envoy.transport_sockets.tls", "typed_config": context}


def _trusted(host: str) -> Resource:
    """Who signs the certificate; Envoy compares names by itself, and addresses only if it is told to."""
    if not _is_ip(host):
        return {"validation_context_sds_secret_config": asked_for(UPSTREAM_CA)}
    shown = {"san_type": "IP_ADDRESS", "matcher": {"exact": host}}
    return {
        "combined_validation_context": {
            "default_validation_context": {"match_typed_subject_alt_names": [shown]},
            "validation_context_sds_secret_config": asked_for(UPSTREAM_CA),
        }
    }


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
