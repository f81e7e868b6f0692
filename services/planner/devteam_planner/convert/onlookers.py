"""What those who look on ask, and are told."""

from collections.abc import Iterator
from datetime import UTC, datetime

from devteam.mesh.validation import Violations
from devteam.v1 import planner_pb2 as pb
from devteam_planner.audience import News
from devteam_planner.convert.plans import task_to_proto
from devteam_planner.overview import Count

# Messages end early rather than grow large.
_MAX_BYTES = 1024 * 1024


def since_from_proto(request: pb.WatchTasksRequest) -> datetime | None:
    """From when on to tell of ended tasks; None for now. Raises InvalidInput."""
    if not request.HasField("since"):
        return None
    found = Violations()
    try:
        return request.since.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        found.add("since", "OUT_OF_BOUNDS", "is no moment of the years 1 to 9999")
    found.raise_if_any()
    return None


def news_to_protos(news: News) -> Iterator[pb.WatchTasksResponse]:
    """The news, in as many messages as they need; mostly one."""
    message = pb.WatchTasksResponse(current=news.current, progress=map(_count_to_proto, news.counts))
    size = 0
    for task in map(task_to_proto, news.tasks):
        size += task.ByteSize()
        if message.tasks and size > _MAX_BYTES:
            yield message
            message, size = pb.WatchTasksResponse(current=news.current), task.ByteSize()
        message.tasks.append(task)
    yield message


def _count_to_proto(count: Count) -> pb.TaskProgress:
    return pb.TaskProgress(task_id=count.task_id, attempt=count.attempt, tokens=count.tokens)
