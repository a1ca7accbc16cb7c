"""A message of the page: each act is read on its own."""

import pytest
from pydantic import ValidationError

from scanner.review.vetting.acts import MOST_ACTS, PageActs
from tests.vetting import act_of

KEY = "0" * 20


def test_each_act_is_read_on_its_own():
    good, other, bad, nameless = act_of(KEY), act_of(KEY, "D"), act_of("../x"), act_of(KEY, act_id="X" * 99)
    acts, refused = PageActs.model_validate({"acts": [bad, good, other, nameless, {}]}).read()
    assert [act.act_id for act in acts] == [good["act_id"]]
    assert [one["act_id"] for one in refused] == [bad["act_id"], other["act_id"], "X" * 32, ""]
    assert refused[0]["error"].startswith("item: String should match pattern")
    assert refused[1]["error"].startswith("grade: Input should be 'A'")


def test_a_message_without_acts_is_none():
    for acts in (["x"], {}, [act_of(KEY)] * (MOST_ACTS + 1)):
        with pytest.raises(ValidationError):
            PageActs.model_validate({"acts": acts})
