"""Say in words what a list of candidates should hold, for the output of `lensscan query`."""

from scanner.catalogue.visible import selected_plans


def expected_in_words(
    root_uri: str, night: str | None, plan: str | None, *, all_plans: bool, min_p_lens: float | None
) -> str | None:
    """Return how pure the list should be; None if the plans' ensembles differ or were not evaluated."""
    plans = selected_plans(root_uri, night=night, plan=plan, all_plans=all_plans)
    tables = {shown.purity for shown in plans}
    (purity,) = tables if len(tables) == 1 else (None,)
    if purity is None:
        return None
    return purity.in_words(min(shown.threshold for shown in plans) if min_p_lens is None else min_p_lens)
