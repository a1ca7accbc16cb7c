"""Ray's errors and messages tell why an actor did not answer."""

from pathlib import Path

import pytest
import ray
from ray.core.generated import common_pb2
from ray.exceptions import ActorDiedError, ActorUnavailableError, NodeDiedError, OutOfMemoryError

from infra.calls import CallFailure
from infra.ray.calls import NODE_DIED, failure_of

NODE_IS_GONE = "The actor died because its node has died."
WORKER_DIED = "The actor is dead because its worker process has died. Worker exit type: "
"""Ray's messages about a dead actor; the type of the worker's exit follows the second."""


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (ActorUnavailableError("rpc failed", None), CallFailure.LOST),
        (NodeDiedError("gone"), CallFailure.LOST),
        (ActorDiedError(), CallFailure.DIED),
        (OutOfMemoryError("full"), CallFailure.OUT_OF_MEMORY),
    ],
)
def test_causes_of_an_actors_death_are_told_apart(error, failure):
    assert failure_of(error) is failure


@pytest.mark.parametrize(
    ("message", "failure"),
    [
        (f"{NODE_IS_GONE} Node Id: 9f3c", CallFailure.LOST),
        (f"{WORKER_DIED}NODE_OUT_OF_MEMORY Worker exit detail: Task was killed", CallFailure.OUT_OF_MEMORY),
        (f"{WORKER_DIED}SYSTEM_ERROR Worker exit detail: killed by SIGKILL by OOM killer", CallFailure.DIED),
    ],
)
def test_messages_of_ray_tell_why_an_actor_died(message, failure):
    error = ActorDiedError(common_pb2.ActorDiedErrorContext(actor_id=bytes(16), error_message=message))
    assert failure_of(error) is failure


def test_ray_still_writes_the_messages_that_the_pool_reads():
    """The server of the installed Ray composes these messages; without them, every death would count as a crash."""
    server = Path(ray.__file__).parent / "core" / "src" / "ray" / "gcs" / "gcs_server"
    texts = server.read_bytes()
    for message in (NODE_IS_GONE, WORKER_DIED):
        assert message.encode() in texts, f"Ray {ray.__version__} no longer says {message!r}: adapt infra/ray/calls.py"
    assert NODE_DIED in NODE_IS_GONE
    assert {"NODE_OUT_OF_MEMORY", "SYSTEM_ERROR"} <= set(common_pb2.WorkerExitType.keys())
