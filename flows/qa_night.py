"""The Prefect flow that judges a night."""

from datetime import date
from typing import Literal

from prefect import flow

from flows.night_steps import judge_step
from flows.nights import dated, run_name
from scanner.catalogue.paths import night_label
from scanner.catalogue.verdicts import Verdict


@flow(name="qa-night", flow_run_name=run_name, persist_result=True, result_serializer="json")
def qa_night(
    root_uri: str,
    night: date | Literal["none"] | None = None,
    reference_night: date | None = None,
    limits: str | None = None,
) -> Verdict:
    """Judge a night and store the verdict, as `lensscan qa` does; the same question stores nothing new.

    Args:
        root_uri: Folder or `s3://` prefix of the catalogue.
        night: Night to judge; the scheduled day of the run by default, `none` for a survey without nights.
        reference_night: Night to compare with; by default the nearest one that has passed.
        limits: TOML file of limits.
    """
    day = dated(night)
    return judge_step(root_uri, None, night_label(day.isoformat() if day else None), reference_night, limits)
