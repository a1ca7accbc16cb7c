"""The Prefect flow that promotes a night."""

from datetime import date
from typing import Literal

from prefect import flow

from flows.night_steps import promote_step
from flows.nights import dated, run_name
from scanner.catalogue.paths import night_label
from scanner.quality.promote import Promoted


@flow(name="promote-night", flow_run_name=run_name, persist_result=True, result_serializer="json")
def promote_night(
    root_uri: str,
    night: date | Literal["none"] | None = None,
    overrule: str | None = None,
    by: str | None = None,
    publish_to: str | None = None,
) -> Promoted:
    """Show readers a night that has passed its gate, as `lensscan promote` does; a second run changes nothing.

    Args:
        root_uri: Folder or `s3://` prefix of the catalogue.
        night: Night to promote; the scheduled day of the run by default, `none` for a survey without nights.
        overrule: Reason to promote the night although its gate has not passed.
        by: Name of the person, which is stored; by default the account of the worker.
        publish_to: Folder or `s3://` prefix of the HATS collection in which the catalogue is published afterwards.
    """
    day = dated(night)
    label = night_label(day.isoformat() if day else None)
    done, _ = promote_step(root_uri, None, label, publish_to=publish_to, overrule=overrule, by=by)
    return done
