"""Every metric there is, in one table: instruments are made from it, and docs/metrics.md lists it.

Names have dots, as OpenTelemetry's do; `Metric.exposed` is what Prometheus sees.
"""

from dataclasses import dataclass
from enum import StrEnum

from devteam.mesh import names

_UNIT_SUFFIXES = {"s": "_seconds", "By": "_bytes"}


class Kind(StrEnum):
    """How a metric comes to its values: told as things happen, or (gauges and tallies) read when somebody asks."""

    COUNTER = "counter"
    HISTOGRAM = "histogram"
    GAUGE = "gauge"
    # A counter that somebody else keeps.
    TALLY = "tally"


# By identity: it is the key of many a look-up.
@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """One metric. `unit` as UCUM writes it; `help` is a sentence for whoever looks at it.

    Where several parts of a process report the same labels their values are added up, or the `largest` one holds. Of
    one that is `remembered`, every value of its first label that was ever reported stays, with 0 when there is nothing.
    """

    name: str
    kind: Kind
    unit: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    largest: bool = False
    remembered: bool = False

    @property
    def exposed(self) -> str:
        """Its name on /metrics; a histogram's series have _bucket, _sum and _count after it."""
        name = self.name.replace(".", "_")
        suffix = _UNIT_SUFFIXES.get(self.unit, "")
        name = name if name.endswith(suffix) else name + suffix
        return f"{name}_total" if self.kind in {Kind.COUNTER, Kind.TALLY} else name


# Seconds. From a reflex to an hour, which is what a run may take where nobody says otherwise.
_CALLS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)
_RUNS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600)
_WAITS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
_FIRST_TOKENS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 7.5, 10, 20, 30, 60)
_NEXT_TOKENS = (0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1)
_LAGS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
# As the conventions for generative AI have them.
_TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)

_GEN_AI = (names.GEN_AI_OPERATION, names.GEN_AI_PROVIDER, names.GEN_AI_REQUEST_MODEL)

# Of the Router: queues, and what is between Planners and workers.

QUEUE_DEPTH = Metric(
    "devteam.queue.depth",
    Kind.GAUGE,
    "{task}",
    "Tasks that wait for a worker",
    ("queue",),
    remembered=True,
)
QUEUE_DEMAND_SLOTS = Metric(
    "devteam.queue.demand_slots",
    Kind.GAUGE,
    "{slot}",
    "Slots that the queue could use now: tasks that run, and those that wait and may start",
    ("queue",),
    remembered=True,
)
QUEUE_OLDEST_WAIT = Metric(
    "devteam.queue.oldest_wait",
    Kind.GAUGE,
    "s",
    "How long the task has waited that waits the longest; 0 when none waits",
    ("queue",),
    largest=True,
    remembered=True,
)
QUEUE_SLOTS_USED = Metric(
    "devteam.queue.slots_used",
    Kind.GAUGE,
    "{slot}",
    "Slots that tasks of the queue take, placed by this Router",
    ("queue",),
    remembered=True,
)
QUEUE_SLOTS_FREE = Metric(
    "devteam.queue.slots_free",
    Kind.GAUGE,
    "{slot}",
    "Slots that workers which take work could fill out of the queue now",
    ("queue",),
    remembered=True,
)
QUEUE_WORKERS = Metric(
    "devteam.queue.workers",
    Kind.GAUGE,
    "{worker}",
    "Workers that serve the queue and take work from this Router",
    ("queue",),
    remembered=True,
)
DISPATCH_WAIT = Metric(
    "devteam.dispatch.wait",
    Kind.HISTOGRAM,
    "s",
    "From the moment a run asked for a worker until it was given to one",
    ("queue",),
    _WAITS,
)
ROUTER_LINKS = Metric("devteam.router.links", Kind.GAUGE, "{worker}", "Workers with an open stream to this Router")
MODELS_THROTTLED = Metric(
    "devteam.models.throttled", Kind.GAUGE, "{model}", "Models of which nothing starts because a provider asked for it"
)
FENCED_WORDS = Metric(
    "devteam.fenced.words",
    Kind.TALLY,
    "{message}",
    "Messages of workers about attempts that are over or another worker's, refused by this Router",
)

# Of the Registry: who is there.

WORKERS = Metric(
    "devteam.workers", Kind.GAUGE, "{worker}", "Workers on the list, by the state of their life", ("state",)
)
WORKERS_AVAILABILITY = Metric(
    "devteam.workers.availability",
    Kind.GAUGE,
    "{worker}",
    "Workers on the list, by whether they shall take work",
    ("availability",),
)
ROUTERS = Metric("devteam.routers", Kind.GAUGE, "{router}", "Routers that watch the fleet")
DEATHS_FROZEN = Metric(
    "devteam.deaths.frozen",
    Kind.GAUGE,
    "1",
    "1 while nobody is declared lost, because most workers fell silent together",
    largest=True,
)

# Of the Planner: what became of the work, as it is stored.

TASKS_CREATED = Metric(
    "devteam.tasks.created", Kind.COUNTER, "{task}", "Tasks that were accepted, steps of plans included"
)
TASKS_ENDED = Metric("devteam.tasks.ended", Kind.COUNTER, "{task}", "Tasks that have ended", ("state",))
ATTEMPTS = Metric(
    "devteam.attempts",
    Kind.COUNTER,
    "{attempt}",
    "Attempts that are over; the reason is that of the failure or of the hand-back, if there was one",
    ("outcome", "reason"),
)
RUN_DURATION = Metric(
    "devteam.run.duration",
    Kind.HISTOGRAM,
    "s",
    "From the moment a worker was given a run until its completion was stored",
    ("model",),
    _RUNS,
)
TIME_TO_FIRST_TOKEN = Metric(
    "devteam.time_to_first_token",
    Kind.HISTOGRAM,
    "s",
    "From the start of a run on its worker until its first token, by the worker's clock",
    ("model",),
    _FIRST_TOKENS,
)
TIME_PER_OUTPUT_TOKEN = Metric(
    "devteam.time_per_output_token",
    Kind.HISTOGRAM,
    "s",
    "Mean time between the output tokens of a run after its first ones, time in tools included",
    ("model",),
    _NEXT_TOKENS,
)
TOKENS = Metric(
    "devteam.tokens",
    Kind.COUNTER,
    "{token}",
    "Tokens of attempts that are over; input includes what was read from or written to a cache",
    ("model", "kind"),
)
COST_USD = Metric(
    "devteam.cost.usd",
    Kind.COUNTER,
    "{USD}",
    "US dollars that attempts took, where the model's price is known",
    ("model",),
)
FENCED_WRITES = Metric(
    "devteam.fenced.writes",
    Kind.COUNTER,
    "{write}",
    "Writes about an attempt that is over, or that another worker has, refused by the store",
    ("what",),
)
STREAM_LAG = Metric(
    "devteam.stream.lag",
    Kind.GAUGE,
    "s",
    "How long the oldest tokens have waited that are not stored yet, and that no watcher sees; 0 when there are none",
    largest=True,
)
STREAM_BACKLOG = Metric(
    "devteam.stream.backlog",
    Kind.GAUGE,
    "By",
    "Tokens kept in memory until they are stored: by the Router for Planners, by the Planner for its database",
    ("at",),
)
WATCHERS = Metric("devteam.watchers", Kind.GAUGE, "{watch}", "Watches of plans and tasks that are open")

# Of the worker: what it has in hand, and its providers.

WORKER_RUNS = Metric("devteam.worker.runs", Kind.GAUGE, "{run}", "Runs that take a slot of this worker")
WORKER_SLOTS = Metric("devteam.worker.slots", Kind.GAUGE, "{slot}", "Slots of this worker that are in force")
PROVIDER_ERRORS = Metric(
    "devteam.provider.errors",
    Kind.COUNTER,
    "{error}",
    "Questions to a model that its provider did not answer to the end",
    ("provider", "reason"),
)
GEN_AI_TOKEN_USAGE = Metric(
    "gen_ai.client.token.usage",
    Kind.HISTOGRAM,
    "{token}",
    "Tokens of one question to a model and of its answer",
    (*_GEN_AI, names.GEN_AI_TOKEN_TYPE),
    _TOKENS,
)
GEN_AI_OPERATION_DURATION = Metric(
    "gen_ai.client.operation.duration",
    Kind.HISTOGRAM,
    "s",
    "How long a model took to answer one question",
    (*_GEN_AI, names.ERROR_TYPE),
    _RUNS,
)
GEN_AI_FIRST_CHUNK = Metric(
    "gen_ai.client.operation.time_to_first_chunk",
    Kind.HISTOGRAM,
    "s",
    "How long a model took to say its first word to one question",
    _GEN_AI,
    _FIRST_TOKENS,
)

# Of every process.

RPC_SERVER_DURATION = Metric(
    names.RPC_SERVER_DURATION,
    Kind.HISTOGRAM,
    "s",
    "Duration of calls that this process answered, streams included",
    (names.RPC_SYSTEM, names.RPC_METHOD, names.RPC_STATUS, names.ERROR_TYPE),
    _CALLS,
)
LOOP_LAG = Metric(
    "devteam.loop.lag",
    Kind.HISTOGRAM,
    "s",
    "How much later than it should the event loop came to a timer, looked at once a second",
    (),
    _LAGS,
)
PROCESS_CPU = Metric("process.cpu.time", Kind.TALLY, "s", "Processor time that this process took, user and system")
PROCESS_MEMORY = Metric("process.memory.usage", Kind.GAUGE, "By", "Memory of this process that is resident")

CATALOG: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
