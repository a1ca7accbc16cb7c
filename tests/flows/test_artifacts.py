import socket
import time

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows import artifacts


@pytest.mark.fault(38)
@pytest.mark.filterwarnings("ignore:Artifact creation outside of a flow")
def test_a_server_that_never_answers_costs_a_flow_no_time(monkeypatch):
    monkeypatch.setattr(artifacts, "PATIENCE_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{silent.getsockname()[1]}/api"}):
            with artifacts.flow_progress("scan-2026-01-01", "Rows scored") as report:
                for done in range(5):
                    report(done, 5)
            artifacts.show_summary("summary-2026-01-01", "# Night", "Rows")
        # Prefect itself would wait for a minute, five times.
        assert time.monotonic() - start < 30
