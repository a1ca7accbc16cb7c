"""The Ray jobs of a cancelled flow run: Prefect ends the flow's own process, and the jobs must end, too.

A process that is killed, or that ends with its worker, leaves its job alone, and the next run attaches to it.
"""

import contextlib
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import httpx
from prefect import Flow, get_client, runtime
from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import PrefectException
from prefect.flows import FlowStateHook

from flows.commands.scan_job import stop_scan_job
from flows.commands.scan_options import ScanOrder
from infra.errors import ClusterError

OrdersOf = Callable[[Mapping[str, Any], date], Iterable[ScanOrder]]


def is_cancelled() -> bool:
    """Return whether this process is asked to end because its flow run was cancelled, and not because its worker ends."""
    with contextlib.suppress(httpx.HTTPError, PrefectException), get_client(sync_client=True) as client:
        state = client.read_flow_run(UUID(runtime.flow_run.get_id())).state
        return state is not None and (state.is_cancelling() or state.is_cancelled())
    return False


def stops_jobs(orders_of: OrdersOf) -> FlowStateHook[..., Any]:
    """Return a hook that stops the Ray jobs of a cancelled flow run: Prefect ends the flow's own process only.

    A process that is killed in another way leaves its job alone, and the next run attaches to it. The hook may run in the
    worker's process, so it knows the run by its parameters alone.

    Args:
        orders_of: Returns the scans of a run from its parameters and the day that it was scheduled for.
    """

    def stop(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
        del flow, state
        submit_to = flow_run.parameters.get("submit_to")
        if submit_to is None:
            return
        start = flow_run.expected_start_time or datetime.now(UTC)
        failed = []
        for order in orders_of(flow_run.parameters, start.date()):
            try:
                stop_scan_job(submit_to, order)
            except ClusterError as error:
                failed.append(error)
        if failed:
            raise failed[0]

    return stop
