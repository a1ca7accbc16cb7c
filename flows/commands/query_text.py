"""Say in words what a list of candidates should hold, for the output of `lensscan query`."""

from scanner.catalogue.calibration import calibration_warning
from scanner.catalogue.visible import selected_plans
from scanner.catalogue.wanted import Wanted


def expected_in_words(root_uri: str, wanted: Wanted) -> str | None:
    """Return how pure the list should be; None if the plans' ensembles differ or were not evaluated.

    For a survey that `p_lens` is not calibrated for, return the warning that says so.
    """
    plans = selected_plans(root_uri, night=wanted.night, plan=wanted.plan, all_plans=wanted.all_plans)
    if warning := calibration_warning(root_uri, (shown.plan_id for shown in plans)):
        return warning
    tables = {shown.purity for shown in plans}
    (purity,) = tables if len(tables) == 1 else (None,)
    if purity is None:
        return None
    lowest = min(shown.threshold for shown in plans) if wanted.min_p_lens is None else wanted.min_p_lens
    return purity.in_words(lowest)
