import pytest

from tests.benchmarks.figures import GROUPS, PARTS, part_of
from tests.benchmarks.report import beyond_the_limit, markdown, rounded
from tests.benchmarks.run import merged


@pytest.mark.parametrize(
    ("value", "least", "most", "shown"),
    [
        (2245.488, 2100.0, 2350.0, "2250"),
        (0.72171, 0.70, 0.74, "0.722"),
        (0.72171, 0.60, 0.84, "0.72"),
        (208.557, 207.9, 209.4, "208.6"),
        (0.011781, 0.009, 0.014, "0.0118"),
        (249.526, 180.0, 300.0, "250"),
        (10.87, 10.87, 10.87, "10.9"),
        (0.9247787, None, None, "0.925"),
        (226.0, None, None, "226"),
        (2.0861e-07, None, None, "2.1e-07"),
        (0.0, 0.0, 0.0, "0"),
        (-0.012, -0.03, 0.02, "-0.012"),
    ],
)
def test_a_number_has_one_digit_more_than_its_rounds_share(value, least, most, shown):
    assert rounded(value, least, most) == shown


def test_no_figure_is_listed_twice():
    names = [figure.name for group in GROUPS for figure in group.figures]

    assert sorted(names) == sorted(set(names)) == sorted(PARTS)


def test_the_least_and_most_of_rounds_belong_to_their_figure():
    assert part_of("tiles_per_s_seven_least") == "scan"
    assert part_of("hits_guided_trained_least") == "maps"
    assert part_of("limit_highest_per_s_seven") is None


def test_a_repeated_part_replaces_only_its_own_figures():
    old = {"over_hyrax": 4.0, "over_ray_data": 5.0, "over_ray_data_least": 4.5, "simulate_per_s": 50.0, "gone_for_good": 1.0}

    assert merged(old, "peers", {"over_ray_data": 3.0}) == {"over_ray_data": 3.0, "simulate_per_s": 50.0}


def test_an_unlisted_figure_is_refused():
    with pytest.raises(ValueError, match="the part scan measures, got over_the_moon"):
        merged({}, "scan", {"over_the_moon": 1.0})
    with pytest.raises(ValueError, match="the part scan measures, got over_hyrax"):
        merged({}, "scan", {"over_hyrax": 1.0})


def test_the_report_gives_the_meaning_of_every_figure():
    results = {"over_paper_loop": 5.4321, "over_paper_loop_least": 5.2, "over_paper_loop_most": 5.6, "simulate_per_s": 57.0}

    text = markdown(results, {"cpus": 2, "measured": {"scan": "2026-01-01: as measured"}})

    assert (
        "| over_paper_loop | 5.43 | 5.20 to 5.60 | ratio | `tiles_exact_per_s_seven` over the fastest of the four loops" in text
    )
    assert "| simulate_per_s | 57 | | stamps/s | one process, nothing written |" in text.replace("|  |", "| |")
    assert "cpus 2" in text
    assert "- scan: 2026-01-01: as measured" in text
    assert "Hyrax" not in text


def test_a_rate_above_its_limit_is_named():
    results = {"tiles_over_limit_seven": 1.01, "tiles_over_limit_seven_most": 1.2, "shards_over_limit_flagship": 0.99}

    assert beyond_the_limit(results) == ["tiles_over_limit_seven"]
    assert beyond_the_limit({"tiles_exact_over_limit_float32_seven": 1.01}) == ["tiles_exact_over_limit_float32_seven"]
    assert beyond_the_limit({"shards_over_limit_flagship": 0.99, "shards_over_limit_flagship_most": 1.01}) == []
