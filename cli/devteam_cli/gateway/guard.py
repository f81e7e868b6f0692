"""What is refused before anybody looks at it: calls of foreign pages, and too many calls."""

import re
from collections.abc import Sequence

from devteam_cli.gateway.place import Place
from devteam_cli.gateway.resources import Resource, extension, typed

# As a name that somebody else owns never looks. It cannot be pointed at this machine to read what it answers.
_ADDRESSES = (r"localhost", r"\d+\.\d+\.\d+\.\d+", r"\[[0-9A-Fa-f:.]+\]")
_ANY: Resource = {"any": True}
# As services count callers: whoever has one address of IPv6 has all of its network.
_ADDRESS: Resource = {"masked_remote_address": {"v4_prefix_mask_len": 32, "v6_prefix_mask_len": 64}}
_EACH: Resource = {"key": "masked_remote_address"}
# Of how many calls one may be a large one.
_LARGE_SHARE = 25


def guard(place: Place) -> Resource:
    """Refuses what a browser sends for a page that is not from here and was not allowed.

    On a mesh without keys any page that somebody looks at could run work otherwise. Programs name no origin.
    """
    policies = {
        "foreign page": _policy([_has("origin"), _not(_one_of("origin", [*place.own_origins, *place.origins]))])
    }
    if place.names is not None:
        policies["foreign name"] = _policy([_not(_named(place.names))])
    return extension(
        "guard", typed("extensions.filters.http.rbac.v3.RBAC", rules={"action": "DENY", "policies": policies})
    )


def rate(place: Place) -> Resource:
    """Two buckets for each address that calls: of all calls, and of large ones, which are held until they are whole."""
    always = {"default_value": {"numerator": 100}}
    config = typed(
        "extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        stat_prefix="rate",
        # Of those whose address has no bucket yet, when there are more addresses than buckets.
        token_bucket=_bucket(place.rate * 100),
        max_dynamic_descriptors=20_000,
        filter_enabled=always,
        filter_enforced=always,
        rate_limited_as_resource_exhausted=True,
        response_headers_to_add=[{"header": {"key": "retry-after", "value": "1"}}],
        rate_limits=[{"actions": [_ADDRESS]}, *({"actions": [large, _ADDRESS]} for large in _LARGE)],
        descriptors=[
            {"entries": [_EACH], "token_bucket": _bucket(place.rate)},
            {"entries": [{"key": "header_match", "value": "large"}, _EACH], "token_bucket": _large(place.rate)},
        ],
    )
    return extension("rate", config)


def _bucket(rate: int) -> Resource:
    return {"max_tokens": rate * 10, "tokens_per_fill": rate, "fill_interval": "1s"}


def _large(rate: int) -> Resource:
    """With 15 s for a body to come and 4 MiB for each, 640 MiB at the rate of a place that says nothing of it."""
    share = max(1, rate // _LARGE_SHARE)
    return {"max_tokens": share * 5, "tokens_per_fill": share, "fill_interval": "1s"}


def _json(*headers: Resource) -> Resource:
    path = {"name": ":path", "string_match": {"prefix": "/api/"}}
    return {"header_value_match": {"descriptor_value": "large", "headers": [path, *headers]}}


def _policy(principals: Sequence[Resource]) -> Resource:
    return {"permissions": [_ANY], "principals": [{"and_ids": {"ids": list(principals)}}]}


def _not(principal: Resource) -> Resource:
    return {"not_id": principal}


def _has(header: str) -> Resource:
    return {"header": {"name": header, "present_match": True}}


def _one_of(header: str, values: Sequence[str]) -> Resource:
    return _matching(header, "|".join(map(re.escape, values)) or "-")


def _named(names: Sequence[str]) -> Resource:
    return _matching(":authority", rf"({'|'.join([*_ADDRESSES, *map(re.escape, names)])})(:\d+)?")


def _matching(header: str, pattern: str) -> Resource:
    return {"header": {"name": header, "string_match": {"safe_regex": {"regex": pattern}}}}


# JSON that says that it is large, and such as does not say how long it is.
_LARGE = (
    _json({"name": "content-length", "range_match": {"start": 32_768, "end": 2**62}}),
    _json(
        {"name": "content-length", "present_match": False},
        {"name": ":method", "string_match": {"safe_regex": {"regex": "POST|PATCH"}}},
    ),
)
