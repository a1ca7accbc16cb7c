import pytest

from tests.flows.forks import forked_commands


@pytest.fixture(scope="session")
def lensscan(started_prefect):
    """`lensscan` with arguments, as a process that has imported its libraries before."""
    env = {name: value for name, value in started_prefect.env.items() if name.startswith("PREFECT_")}
    with forked_commands(env) as run:
        yield run
