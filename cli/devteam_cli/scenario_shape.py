"""The shape of a scenario file. Workers are described as in a worker's own file."""

from typing import Annotated, Self

from devteam_router.domain import StrategyName
from devteam_router.simulation.scenario import Spread
from devteam_worker.settings_sections import LocationSettings, QueueSettings, ResourceSettings
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from devteam.mesh.validation import NAME_PATTERN
from devteam.plans import duration

MOST_HOURS = 24.0 * 366
_DAY = 24


def _seconds(value: object) -> object:
    return duration(value).total_seconds() if isinstance(value, str) else value


def _name(value: str) -> str:
    if len(value) > 128 or not NAME_PATTERN.fullmatch(value):
        raise ValueError("must be 1 to 128 characters of A-Z a-z 0-9 . _ -")
    return value


def _whole_day(profile: tuple[float, ...]) -> tuple[float, ...]:
    if len(profile) not in {0, _DAY}:
        raise ValueError(f"has {len(profile)} numbers; must have 24, one for each hour of the day")
    return profile


# A number of seconds, or text such as "90s", "15m" or "2h".
Seconds = Annotated[float, BeforeValidator(_seconds), Field(ge=0, le=MOST_HOURS * 3_600)]
Hours = Annotated[float, Field(ge=0, le=MOST_HOURS)]
Name = Annotated[str, AfterValidator(_name)]
Model = Annotated[str, Field(min_length=1, max_length=255)]
Factor = Annotated[float, Field(ge=0, le=1_000)]
Weight = Annotated[float, Field(ge=0.01, le=1_000)]


class _Section(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True, allow_inf_nan=False
    )


class GroupSettings(_Section):
    """Workers that are alike. `speed` divides how long tasks take; `load_time` is that of a cold local model."""

    name: Name
    count: int = Field(1, ge=0, le=10_000)
    speed: float = Field(1.0, ge=0.001, le=1_000_000)
    load_time: Seconds = 0.0
    local_models: tuple[Model, ...] = ()
    # How many local models it keeps loaded; None: all.
    models_in_memory: int | None = Field(None, ge=1)
    queues: tuple[QueueSettings, ...] = Field((QueueSettings(name="default"),), max_length=64)
    concurrency: int = Field(0, ge=0, le=10_000)
    weight: float = Field(1.0, ge=0.01, le=100)
    resources: ResourceSettings = ResourceSettings()
    labels: dict[str, str] = Field({}, max_length=64)
    location: LocationSettings = LocationSettings()
    data_sources: tuple[str, ...] = ()


class WorkSettings(_Section):
    """How long tasks take on a worker of speed 1, and how that is spread around the mean."""

    mean: Annotated[Seconds, Field(gt=0)]
    distribution: Spread = Spread.EXPONENTIAL
    # Of the lognormal distribution.
    sigma: float = Field(1.0, gt=0, le=5)


class BurstSettings(_Section):
    """`count` tasks, from the hour `at` on, spread over `within`."""

    count: int = Field(ge=1, le=2_000_000)
    at: Hours = 0.0
    within: Seconds = 0.0


class RequirementSettings(_Section):
    """What a worker must have."""

    gpu: bool = False
    gpu_model: str = ""
    min_ram_gb: float = Field(0.0, alias="minRamGB", ge=0)
    min_cpu_cores: int = Field(0, ge=0)
    labels: dict[str, str] = {}
    data_sources: tuple[str, ...] = ()


class StreamSettings(_Section):
    """Tasks that are alike: so many an hour, or a burst of them."""

    name: Name = "tasks"
    rate_per_hour: float | None = Field(None, gt=0, le=1_000_000)
    # Factors of the rate, hour by hour.
    profile: Annotated[tuple[Factor, ...], AfterValidator(_whole_day)] = ()
    burst: BurstSettings | None = None
    model: Model
    duration: WorkSettings
    queue: Name | None = None
    requirements: RequirementSettings = RequirementSettings()
    near: str = ""
    priority: int = Field(3, ge=1, le=5)
    tenant: Name = "default"
    deadline: Annotated[Seconds, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _comes_somehow(self) -> Self:
        if (self.rate_per_hour is None) == (self.burst is None):
            raise ValueError("give either ratePerHour or burst")
        if self.burst is not None and self.profile:
            raise ValueError("a burst has no profile; that belongs to ratePerHour")
        return self


class QueuePolicySettings(_Section):
    """How one queue is served; what is left out is as the policy says."""

    name: Name
    paused: bool = False
    strategy: StrategyName | None = None
    locality_wait: Seconds | None = None
    tenant_weights: dict[Name, Weight] = {}


class LimitSettings(_Section):
    """How often models that match may start, in a queue or over the fleet."""

    model: Model
    queue: Name | None = None
    starts_per_minute: float = Field(gt=0, le=1_000_000)


class PolicySettings(_Section):
    """How tasks are placed. `tenant_weights` hold in every queue that does not say its own."""

    strategy: StrategyName = StrategyName.LEAST_LOADED
    preferences: dict[Model, tuple[Name, ...]] = {}
    locality_wait: Seconds = 3.0
    queues: tuple[QueuePolicySettings, ...] = ()
    limits: tuple[LimitSettings, ...] = ()
    tenant_weights: dict[Name, Weight] = {}


class EventSettings(_Section):
    """What happens at an hour: to `count` workers of a group (left out: all), or to a model."""

    at: Hours
    cordon: Name | None = None
    uncordon: Name | None = None
    kill: Name | None = None
    join: Name | None = None
    count: int | None = Field(None, ge=1, le=10_000)
    throttle: Model | None = None
    lasts: Annotated[Seconds, Field(gt=0)] | None = Field(None, alias="for")

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        given = [self.cordon, self.uncordon, self.kill, self.join, self.throttle]
        if sum(what is not None for what in given) != 1:
            raise ValueError("give one of cordon, uncordon, kill, join, throttle")
        if (self.throttle is None) != (self.lasts is None):
            raise ValueError("a throttle, and nothing else, is given a time with for")
        if self.throttle is not None and self.count is not None:
            raise ValueError("a throttle holds for the whole fleet; count goes with groups")
        return self


class ScenarioSettings(_Section):
    """A whole scenario file."""

    fleet: tuple[GroupSettings, ...] = Field(max_length=1_000)
    traffic: tuple[StreamSettings, ...] = Field(max_length=1_000)
    policy: PolicySettings = PolicySettings()
    events: tuple[EventSettings, ...] = Field((), max_length=10_000)
    hours: Annotated[Hours, Field(gt=0)] = 24.0
    seed: int = 1
