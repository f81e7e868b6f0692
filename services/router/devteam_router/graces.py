"""How long the Router waits for whom, and how much it holds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Graces:
    """Times in seconds, sizes in bytes."""

    # For a worker whose stream broke to come back with what it runs.
    link: float = 10.0
    # For a Planner to come back to an attempt that nobody follows.
    orphan: float = 60.0
    # For the worker of a Router that is gone to say what it has from there, while a Planner asks another one for it.
    claim: float = 2.0
    # Before a worker that refused a run is asked again.
    refusal: float = 1.0
    # For a worker that connected to attach, and for the Registry's word about it to arrive here.
    attach: float = 10.0
    admission: float = 5.0
    # Beats of workers on their stream, and when a worker may think that the Router is gone.
    beat: float = 15.0
    beat_timeout: float = 45.0
    # Unacknowledged tokens of one attempt that a worker may have in flight.
    window_bytes: int = 1024 * 1024
    # Runs that may wait: over all queues, in one queue, of one tenant.
    max_waiting: int = 100_000
    max_waiting_per_queue: int = 50_000
    max_waiting_per_tenant: int = 50_000
    # Attempts that are over, remembered to answer workers that come back with them.
    remembered: int = 20_000
