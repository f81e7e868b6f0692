"""Settings of gRPC's transport, each of them measured.

`keepalive_timeout_ms` alone never fires in gRPC's core: a silent peer is found only through `http2.ping_timeout_ms`
(64 s without it, under 16 s with it). A server refuses pings that come more often than it allows, so both ends are set
together: a connection that pings every 10 s against the default of 300 s is closed after 50 s of silence. gRPC ignores
an option whose name it does not know, so a test looks each of them up in its core. `so_reuseport` is off: with it, two
servers on one port start happily and share the calls.
"""

import json

MAX_MESSAGE_BYTES = 4 * 1024 * 1024

_BOTH_ENDS: tuple[tuple[str, int], ...] = (
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
)

SERVER: tuple[tuple[str, int | str], ...] = (
    *_BOTH_ENDS,
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.bdp_probe", 0),  # else 4 to 6 MiB pile up for each reader that stopped reading
    # Whoever connects has so long to say what it wants: with gRPC's own two minutes, strangers that say nothing hold
    # sockets twelve times as long.
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.so_reuseport", 0),
    ("grpc.max_concurrent_streams", 20_000),
    # Calls that Python has not taken up yet. Of a burst beyond the first number some are reset, by chance, and of one
    # beyond the second all: with gRPC's own 1,000 and 3,000, each tenth of 2,000 creates at once.
    ("grpc.server.max_pending_requests", 10_000),
    ("grpc.server.max_pending_requests_hard_limit", 20_000),
)

# Only calls that may safely be sent twice: reads, and creates that carry a request_id.
_RETRIED = (
    "GetTask ListTasks CreateTask CancelTask GetPlan ListPlans CreatePlan CancelPlan GetPlannerStatus",
    "GetWorker ListWorkers Heartbeat RegisterWorker GetRegistryStatus",
    "ListQueues GetQueue Explain CancelDispatch AckDispatches GetRouterStatus",
    "ListKeys RevokeKey GetIdentity",
)
_SERVICES = ("PlannerService", "RegistryService", "RouterService", "AccessService")

_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [
                {"service": f"devteam.v1.{service}", "method": method}
                for service, methods in zip(_SERVICES, _RETRIED, strict=True)
                for method in methods.split()
            ],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
}


def _client(longest_pause_ms: int) -> tuple[tuple[str, int | str], ...]:
    """For channels that pause so long at most between tries; by chance, gRPC makes it a fifth more or less."""
    return (
        *_BOTH_ENDS,
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.min_reconnect_backoff_ms", 3_000),  # how long a server may take to greet, in truth
        ("grpc.max_reconnect_backoff_ms", longest_pause_ms),
        # A pod that was replaced has another address. With gRPC's own 30 s it is found when workers have been given up.
        ("grpc.dns_min_time_between_resolutions_ms", 2_000),
        ("grpc.http2.bdp_probe", 0),
        ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    )


CLIENT = _client(2_400)  # which makes 3 s at most
# For the services of a mesh, of which there are few: what is away is not hurt by some tries a second.
EAGER_CLIENT = _client(400)
