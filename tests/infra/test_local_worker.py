"""The process of a local worker imports without looking for garbage, and looks for it from then on."""

import contextlib

from infra.local_pool import LocalPool
from tests.infra.pool_calls import call, values

WORKER = "tests.infra.pool_worker:Worker"


def test_garbage_is_collected_after_the_start():
    with contextlib.closing(LocalPool(WORKER, (), 1, 1, {})) as pool:
        ((at_start, now, n_frozen),) = values(pool, [call("garbage")])
    assert (at_start, now) == (False, True)
    assert n_frozen > 1000
