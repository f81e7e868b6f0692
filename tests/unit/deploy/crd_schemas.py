"""What may stand in objects of Kubernetes' extensions, as far as ours go: JSON Schemas of documented fields."""

from typing import Any

from tests.unit.deploy.compose_schema import only

_TEXT = {"type": "string", "minLength": 1}
_TEXTS = {"type": "array", "items": _TEXT, "minItems": 1}
_LABELS = {"type": "object", "additionalProperties": {"type": "string"}}
_DURATION = {"type": "string", "pattern": r"^(\d+(ms|s|m|h))+$"}
_PORT = {"type": "integer", "minimum": 1, "maximum": 65535}


def _list(schema: Any, most: int = 1_000) -> dict[str, Any]:
    return {"type": "array", "items": schema, "minItems": 1, "maxItems": most}


def _object(spec: Any) -> dict[str, Any]:
    meta = only(("name",), name=_TEXT, namespace=_TEXT, labels=_LABELS, annotations=_LABELS)
    return only(("apiVersion", "kind", "metadata", "spec"), apiVersion=_TEXT, kind=_TEXT, metadata=meta, spec=spec)


_ISSUER_REF = only(
    ("kind", "name"), group={"const": "cert-manager.io"}, kind={"enum": ["Issuer", "ClusterIssuer"]}, name=_TEXT
)
_CERTIFICATE = only(
    ("secretName", "issuerRef"),
    secretName=_TEXT,
    isCA={"type": "boolean"},
    commonName={"type": "string", "maxLength": 64},
    dnsNames=_TEXTS,
    uris=_list({"type": "string", "pattern": "^spiffe://"}),
    usages=_list({"enum": ["digital signature", "server auth", "client auth", "cert sign", "key encipherment"]}),
    duration=_DURATION,
    renewBefore=_DURATION,
    privateKey=only(
        algorithm={"enum": ["RSA", "ECDSA", "Ed25519"]}, size={"enum": [256, 384, 521]},
        rotationPolicy={"enum": ["Never", "Always"]},
    ),
    issuerRef=_ISSUER_REF,
)  # fmt: skip

_SCALING = only(
    stabilizationWindowSeconds={"type": "integer", "minimum": 0, "maximum": 3600},
    policies=_list(
        only(("type", "value", "periodSeconds"), type={"enum": ["Pods", "Percent"]}, value=_PORT, periodSeconds=_PORT)
    ),
    selectPolicy={"enum": ["Max", "Min", "Disabled"]},
)
_TRIGGER = only(
    ("type", "metadata"),
    type={"enum": ["external", "external-push"]},
    metadata=_LABELS,
    authenticationRef=only(("name",), name=_TEXT),
)
_SCALED_OBJECT = only(
    ("scaleTargetRef", "triggers"),
    scaleTargetRef=only(("name",), name=_TEXT),
    minReplicaCount={"type": "integer", "minimum": 0},
    maxReplicaCount={"type": "integer", "minimum": 1},
    pollingInterval={"type": "integer", "minimum": 1},
    cooldownPeriod={"type": "integer", "minimum": 0},
    advanced=only(horizontalPodAutoscalerConfig=only(behavior=only(scaleUp=_SCALING, scaleDown=_SCALING))),
    triggers=_list(_TRIGGER),
)
_SECRET_KEY = only(("parameter", "name", "key"), parameter=_TEXT, name=_TEXT, key=_TEXT)

_EXPRESSION = only(
    ("key", "operator"), key=_TEXT, operator={"enum": ["In", "NotIn", "Exists", "DoesNotExist"]}, values=_TEXTS
)
_SELECTOR = only(matchLabels=_LABELS, matchExpressions=_list(_EXPRESSION))
_RULE = only(
    ("expr",), alert=_TEXT, record=_TEXT, expr=_TEXT, **{"for": _DURATION}, labels=_LABELS, annotations=_LABELS
)

_PARENT = only(("name",), name=_TEXT, sectionName=_TEXT, group=_TEXT, kind=_TEXT)
_BACKEND = only(("name", "port"), name=_TEXT, port=_PORT)
_PATH = only(
    ("type", "value"),
    type={"enum": ["Exact", "PathPrefix", "RegularExpression"]},
    value={"type": "string", "pattern": "^/"},
)
_HTTP_RULE = only(
    matches=_list(only(path=_PATH, method={"enum": ["GET", "POST"]}), 64),
    timeouts=only(request=_DURATION, backendRequest=_DURATION),
    backendRefs=_list(_BACKEND),
)
_HTTP_ROUTE = only(("parentRefs", "rules"), parentRefs=_list(_PARENT), hostnames=_TEXTS, rules=_list(_HTTP_RULE, 16))
_GRPC_MATCH = only(("method",), method=only(("service",), service=_TEXT, method=_TEXT))
_GRPC_ROUTE = only(
    ("parentRefs", "rules"),
    parentRefs=_list(_PARENT),
    hostnames=_TEXTS,
    rules=_list(only(("matches", "backendRefs"), matches=_list(_GRPC_MATCH, 64), backendRefs=_list(_BACKEND)), 16),
)
_LISTENER = only(
    ("name", "port", "protocol"),
    name=_TEXT,
    hostname=_TEXT,
    port=_PORT,
    protocol={"enum": ["HTTP", "HTTPS", "TLS", "TCP", "UDP"]},
    tls=only(
        mode={"enum": ["Terminate", "Passthrough"]}, certificateRefs=_list(only(("name",), kind=_TEXT, name=_TEXT))
    ),
    allowedRoutes=only(namespaces=only(**{"from": {"enum": ["Same", "All", "Selector"]}})),
)

_LINKERD_REF = only(("group", "kind", "name"), group={"const": "policy.linkerd.io"}, kind=_TEXT, name=_TEXT)
_MESH_MODE = only(("mode",), mode={"enum": ["STRICT", "PERMISSIVE", "DISABLE"]})
_DESTINATION = only(("host",), host=_TEXT, port=only(number=_PORT))
_ISTIO_ROUTE = only(
    ("route",),
    match=_list(only(port=_PORT)),
    route=_list(only(("destination",), destination=_DESTINATION)),
    timeout=_DURATION,
    retries=only(("attempts",), attempts={"type": "integer", "minimum": 0}),
)
# Of which routes are patched here, and nothing else.
_ENVOY_PATCH = only(
    ("applyTo", "match", "patch"),
    applyTo={"const": "HTTP_ROUTE"},
    match=only(
        ("context",),
        context={"enum": ["ANY", "SIDECAR_INBOUND", "SIDECAR_OUTBOUND", "GATEWAY"]},
        routeConfiguration=only(
            vhost=only(route=only(action={"enum": ["ANY", "ROUTE", "REDIRECT", "DIRECT_RESPONSE"]}))
        ),
    ),
    patch=only(("operation", "value"), operation={"const": "MERGE"}, value={"type": "object", "minProperties": 1}),
)
_ISTIO_RULE = only(
    **{"from": _list(only(source=only(principals=_TEXTS)))}, to=_list(only(operation=only(ports=_TEXTS)))
)

CRDS: dict[tuple[str, str], Any] = {
    ("cert-manager.io/v1", "Certificate"): _object(_CERTIFICATE),
    ("cert-manager.io/v1", "ClusterIssuer"): _object(
        only(selfSigned=only(), ca=only(("secretName",), secretName=_TEXT))
    ),
    ("keda.sh/v1alpha1", "ScaledObject"): _object(_SCALED_OBJECT),
    ("keda.sh/v1alpha1", "TriggerAuthentication"): _object(only(secretTargetRef=_list(_SECRET_KEY))),
    ("monitoring.coreos.com/v1", "ServiceMonitor"): _object(
        only(
            ("selector", "endpoints"),
            jobLabel=_TEXT,
            selector=_SELECTOR,
            endpoints=_list(only(("port",), port=_TEXT, path=_TEXT, interval=_DURATION)),
        )
    ),
    ("monitoring.coreos.com/v1", "PrometheusRule"): _object(
        only(("groups",), groups=_list(only(("name", "rules"), name=_TEXT, interval=_DURATION, rules=_list(_RULE))))
    ),
    ("gateway.networking.k8s.io/v1", "Gateway"): _object(
        only(
            ("gatewayClassName", "listeners"),
            gatewayClassName=_TEXT,
            infrastructure=only(
                parametersRef=only(("group", "kind", "name"), group={"type": "string"}, kind=_TEXT, name=_TEXT)
            ),
            listeners=_list(_LISTENER, 64),
        )
    ),
    ("gateway.networking.k8s.io/v1", "GRPCRoute"): _object(_GRPC_ROUTE),
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): _object(_HTTP_ROUTE),
    ("policy.linkerd.io/v1beta3", "HTTPRoute"): _object(_HTTP_ROUTE),
    ("policy.linkerd.io/v1beta3", "Server"): _object(
        only(
            ("podSelector", "port"),
            podSelector=_SELECTOR,
            port={"type": ["string", "integer"]},
            proxyProtocol={"enum": ["unknown", "HTTP/1", "HTTP/2", "gRPC", "opaque", "TLS"]},
        )
    ),
    ("policy.linkerd.io/v1alpha1", "MeshTLSAuthentication"): _object(only(("identities",), identities=_TEXTS)),
    ("policy.linkerd.io/v1alpha1", "NetworkAuthentication"): _object(
        only(("networks",), networks=_list(only(("cidr",), cidr=_TEXT)))
    ),
    ("policy.linkerd.io/v1alpha1", "AuthorizationPolicy"): _object(
        only(
            ("targetRef", "requiredAuthenticationRefs"),
            targetRef=_LINKERD_REF,
            requiredAuthenticationRefs=_list(_LINKERD_REF),
        )
    ),
    ("security.istio.io/v1", "PeerAuthentication"): _object(only(mtls=_MESH_MODE)),
    ("security.istio.io/v1", "AuthorizationPolicy"): _object(
        only(selector=_SELECTOR, action={"enum": ["ALLOW", "DENY"]}, rules=_list(_ISTIO_RULE))
    ),
    ("networking.istio.io/v1alpha3", "EnvoyFilter"): _object(
        only(
            ("configPatches",),
            workloadSelector=only(("labels",), labels=_LABELS),
            configPatches=_list(_ENVOY_PATCH),
        )
    ),
    ("networking.istio.io/v1", "VirtualService"): _object(
        only(("hosts", "http"), hosts=_TEXTS, http=_list(_ISTIO_ROUTE))
    ),
}
