"""Submit Ray jobs to a cluster's job server, attach to those that run, follow them and stop them.

A job is found by its submission id, which the caller derives from the work alone. So a process that was killed, or that is
started a second time, attaches to the job that does the work already. A job that ended badly is submitted again under the same
id with a number behind it.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
from ray.exceptions import AuthenticationError
from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

from infra.errors import ClusterAccessError, ClusterError
from infra.private_apis import require_ray_token
from infra.ray.cluster_access import known_token
from infra.settings import Settings

CONNECT_TIMEOUT_S = 10
POLL_S = 2.0
"""Time between two looks at a job: its log is read again each time."""
SERVER_PATIENCE_S = 300.0
"""Time for which a job server may not answer: the head of a cluster restarts in less, and its jobs go on meanwhile."""
PENDING_PATIENCE_S = 1800.0
"""Time after which a job that has not started counts as lost: a job whose submission is cut off stays pending for good
(ray-project/ray#62766), and a cluster that grows needs minutes."""
STOP_PATIENCE_S = 25.0
"""Time for which a stop is repeated: a request to stop a job that has not started does nothing (ray-project/ray#58353)."""
_REFUSED = {401, 403}
_MOST_TRIES = 100


@dataclass(frozen=True)
class JobEnd:
    """The end of a job."""

    submission_id: str
    status: str
    """`SUCCEEDED`, `FAILED` or `STOPPED`."""
    message: str
    exit_code: int | None
    log: str


class JobServer:
    """The job server of a Ray cluster, usually port 8265 of its head."""

    def __init__(self, address: str) -> None:
        """Connect to `http://HOST:PORT`.

        Raises:
            ClusterError: nothing answers.
            ClusterAccessError: the token is missing or wrong, or the server requires none and the setting
                `allow_open_cluster` is not true.
        """
        self.address = address.rstrip("/")
        _check_access(self.address)
        with _in_one_line(self.address):
            self._client = JobSubmissionClient(self.address)

    def attach_or_submit(self, base_id: str, entrypoint: str, metadata: Mapping[str, str]) -> tuple[str, bool]:
        """Return the id of the job that does this work and still runs, else submit one; return whether it is a new one.

        Args:
            base_id: Id of the work.
            entrypoint: Command of the job's driver.
            metadata: Texts that the server shows beside the job.

        Raises:
            ClusterError: the job server does not answer or refuses.
        """
        for _ in range(_MOST_TRIES):
            known = self._attempts(base_id)
            if alive := [name for name, job in known.items() if _is_alive(job)]:
                return alive[-1], False
            number = max((_number(name, base_id) or 0 for name in known), default=0) + 1
            wanted = base_id if number == 1 else f"{base_id}-{number}"
            try:
                with _in_one_line(self.address):
                    self._client.submit_job(entrypoint=entrypoint, submission_id=wanted, metadata=dict(metadata))
                return wanted, True  # noqa: TRY300 - the error below is that of this call alone
            except ClusterError:
                # Another process has submitted this job at the same time, or the reply was lost: look again.
                if wanted not in self._attempts(base_id):
                    raise
        raise ClusterError(f"{self.address}: {base_id} cannot be submitted: other processes were faster {_MOST_TRIES} times")

    def follow(self, submission_id: str, on_line: Callable[[str], None]) -> JobEnd:
        """Wait for the end of a job and pass each line of its log on, once; a job server that restarts is waited for.

        Raises:
            ClusterError: the server does not answer for longer than `SERVER_PATIENCE_S`, or the job does not start.
        """
        n_read = 0
        answered = time.monotonic()
        while True:
            try:
                with _in_one_line(self.address):
                    job = self._client.get_job_info(submission_id)
                    # The log after the status: that of an ended job is complete.
                    log = self._client.get_job_logs(submission_id)
                answered = time.monotonic()
            except ClusterAccessError:
                raise
            except ClusterError:
                if time.monotonic() - answered > SERVER_PATIENCE_S:
                    raise
                time.sleep(POLL_S)
                continue
            is_over = job.status.is_terminal()
            end = len(log) if is_over else log.rfind("\n") + 1
            for line in log[n_read:end].splitlines():
                on_line(line)
            n_read = max(n_read, end)
            if is_over:
                return JobEnd(submission_id, str(job.status), job.message or "", job.driver_exit_code, log)
            if not _is_alive(job):
                raise ClusterError(f"job {submission_id} has not started for {PENDING_PATIENCE_S:.0f} s")
            time.sleep(POLL_S)

    def stop(self, base_id: str) -> list[str]:
        """Stop the jobs that do this work, and return their ids once they have ended.

        Raises:
            ClusterError: the server does not answer, or a job does not end within `STOP_PATIENCE_S`.
        """
        deadline = time.monotonic() + STOP_PATIENCE_S
        asked: dict[str, JobDetails] = {}
        while left := {name: job for name, job in self._attempts(base_id).items() if not job.status.is_terminal()}:
            if time.monotonic() > deadline:
                raise ClusterError(f"{self.address}: {', '.join(left)} still run {STOP_PATIENCE_S:.0f} s after the stop")
            asked |= left
            for name in left:
                with _in_one_line(self.address):
                    self._client.stop_job(name)
            time.sleep(1)
        return list(asked)

    def _attempts(self, base_id: str) -> dict[str, JobDetails]:
        """Return the jobs that were submitted for this work, by id, in the order of their numbers."""
        with _in_one_line(self.address):
            jobs = {job.submission_id: job for job in self._client.list_jobs() if job.submission_id}
        numbers = {name: number for name in jobs if (number := _number(name, base_id)) is not None}
        return {name: jobs[name] for name in sorted(numbers, key=lambda name: numbers[name])}


def _number(submission_id: str, base_id: str) -> int | None:
    """Return which attempt at a work a job is, from 1; None for another work."""
    if submission_id == base_id:
        return 1
    rest = submission_id.removeprefix(f"{base_id}-")
    return int(rest) if rest != submission_id and rest.isdecimal() else None


def _is_alive(job: JobDetails) -> bool:
    if job.status is JobStatus.PENDING and job.start_time is not None:
        return time.time() - job.start_time / 1000 < PENDING_PATIENCE_S
    return not job.status.is_terminal()


def _check_access(address: str) -> None:
    """Ask without a token: an open job server runs the code of anyone who reaches it."""
    if not address.startswith(("http://", "https://")) or "@" in address:
        raise ClusterAccessError(f"the address of a job server must be http://HOST:PORT, got {address.rpartition('@')[2]}")
    try:
        answer = httpx.get(f"{address}/api/version", timeout=CONNECT_TIMEOUT_S)
    except httpx.HTTPError as error:
        raise ClusterError(f"no Ray job server at {address}: {error}") from error
    if answer.status_code in _REFUSED:
        if known_token() is None:
            raise ClusterAccessError(
                f"the Ray job server at {address} requires its token, but none is set in RAY_AUTH_TOKEN, the file "
                "RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token"
            )
        require_ray_token()
    elif not Settings.read().allow_open_cluster:
        raise ClusterAccessError(
            f"the Ray job server at {address} is open: anyone who reaches it can run code. Start the cluster with "
            "RAY_AUTH_MODE=token, or accept it as it is with LENSSCAN_ALLOW_OPEN_CLUSTER=true"
        )


@contextmanager
def _in_one_line(address: str) -> Iterator[None]:
    """Convert what Ray's client raises; its texts quote whole answers of the server."""
    try:
        yield
    except AuthenticationError as error:
        raise ClusterAccessError(f"the Ray job server at {address} refuses our token") from error
    except (RuntimeError, OSError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise ClusterError(f"the Ray job server at {address} has failed: {reason}") from error
