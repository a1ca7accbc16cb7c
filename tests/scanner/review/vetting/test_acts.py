"""A message of the page: each act is read on its own."""

import pytest
from pydantic import ValidationError

from scanner.review.vetting.acts import MOST_ACTS, PageActs
from tests.vetting import act_of

KEY = "0" * 20


def test_each_act_is_read_on_its_own():
    good, other, bad = act_of(KEY), act_of(KEY, "D"), act_of("../x")
    acts, refused = PageActs.model_validate({"acts": [bad, good, other]}).read()
    assert [act.act_id for act in acts] == [good["act_id"]]
    assert [one["act_id"] for one in refused] == [bad["act_id"], other["act_id"]]
    assert refused[0]["error"].startswith("item: String should match pattern")
    assert refused[1]["error"].startswith("grade: Input should be 'A'")


def test_a_message_without_ids_is_none():
    for acts in ([{"act_id": "x"}], [{}], [act_of(KEY)] * (MOST_ACTS + 1)):
        with pytest.raises(ValidationError):
            PageActs.model_validate({"acts": acts})
