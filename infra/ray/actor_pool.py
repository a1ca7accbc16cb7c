"""A pool of Ray actors; every call ends, even if its actor dies."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ray
from ray.exceptions import ActorUnschedulableError, RayError, RuntimeEnvSetupError

from infra.calls import Call, CallResult
from infra.private_apis import ray_ready
from infra.ray.calls import result_of
from infra.ray.cluster import last_line, ray_errors
from infra.worker_pool import FailedStart, WorkerPool


class ActorPool(WorkerPool):
    """A pool whose workers are Ray actors; its methods raise ClusterError if Ray is gone."""

    def __init__(
        self, make_actor: Callable[[], Any], n_actors: int, in_flight: int, asks: Mapping[str, float] | None = None
    ) -> None:
        """Start the actors.

        Args:
            make_actor: Function that starts one actor.
            n_actors: Number of actors to keep alive.
            in_flight: Largest number of calls that an actor holds.
            asks: Resources that an actor asks for, for the error if none starts.

        Raises:
            ClusterError: Ray is gone.
            ValueError: `n_actors` or `in_flight` is below 1.
        """
        self._make_actor, self._asks = make_actor, asks or {}
        super().__init__(n_actors, in_flight)

    def next_result(self, *, at_most: int | None = None) -> CallResult | None:
        """Wait for a call to end; None if no call is open. With `at_most`, no call is started while that many run.

        Raises:
            ClusterError: actors cannot be started, die one after the other, or Ray is gone.
        """
        with ray_errors():
            return super().next_result(at_most=at_most)

    @property
    def _no_start(self) -> str:
        told = "the cluster has no room, or does not answer"
        if not self._asks:
            return told
        there, free = ray.cluster_resources(), ray.available_resources()
        asked = " and ".join(f"{n:g} {name}" for name, n in self._asks.items())
        found = " and ".join(f"{free.get(name, 0):g} of {there.get(name, 0):g} {name}" for name in self._asks)
        return f"{told}; each worker asks for {asked}, and {found} are free"

    def _start_worker(self) -> tuple[Any, Any]:
        with ray_errors():
            actor = self._make_actor()
            return actor, ray_ready(actor)

    def _begin(self, worker: Any, call: Call) -> Any:
        return getattr(worker, call.method).remote(*call.arguments)

    def _first_ready(self, references: Sequence[Any], timeout_s: float | None) -> Any | None:
        ready, _ = ray.wait(list(references), num_returns=1, timeout=timeout_s)
        return ready[0] if ready else None

    def _failed_start(self, reference: Any) -> FailedStart | None:
        try:
            ray.get(reference)
        except RayError as error:
            return FailedStart(error, last_line(error), _cannot_start(error))
        return None

    def _result(self, call: Call, reference: Any, timeout_s: float | None = None) -> CallResult:
        return result_of(call, reference, timeout_s)

    def _kill(self, worker: Any) -> None:
        # If Ray is gone, its actors are gone too.
        with contextlib.suppress(RayError):
            ray.kill(worker)


def _cannot_start(error: RayError) -> bool:
    """Return whether the actor's own start failed, or Ray cannot provide the requested resources or environment."""
    return isinstance(error, ActorUnschedulableError | RuntimeEnvSetupError) or getattr(error, "actor_init_failed", False)
