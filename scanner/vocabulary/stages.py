"""Stages of an ensemble, as the column `stage` counts them."""

NO_STAGE, FIRST, COMMITTEE = 0, 1, 2
"""Stage that gave `p_lens`: none, because the row is rejected, or some of the networks alone; the first stage, or the early
exit of a committee, or all networks of an ensemble without stages; the committee, and a candidate network after it."""
