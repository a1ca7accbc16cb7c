import numpy as np
import pytest

from scanner.networks.turned_engine import TurnedEngine


class Corner:
    """An engine whose logits are the top left pixel and its right neighbour."""

    def logits(self, inputs):
        assert inputs.flags.c_contiguous
        return np.stack([inputs[:, 0, 0, 0], inputs[:, 0, 0, 1]], axis=1)


# The pixel to the right of the top left corner: 2 as it is, then 6, 7 and 3 after quarter turns that move the right column to
# the top. The mirror images of these turns have the same middles of their top rows.
@pytest.mark.parametrize("turns", [4, 8])
def test_logits_are_averaged_over_orientations(turns):
    image = np.array([[[[1, 2, 4], [3, 5, 6], [9, 7, 8]]]], np.float32)
    found = TurnedEngine(Corner(), turns).logits(image)
    assert found.dtype == np.float32
    assert found[0].tolist() == pytest.approx([(1 + 4 + 8 + 9) / 4, (2 + 6 + 7 + 3) / 4])


def test_eight_turns_add_mirror_images():
    image = np.array([[[[1, 2, 3, 4], [0, 0, 0, 0], [0, 0, 0, 0], [5, 6, 9, 8]]]], np.float32)
    # Right neighbours of the top left corner: 2 and 9 without turns of the left and right columns, whose second pixels are 0;
    # the mirror images add 3 and 6.
    four, eight = (TurnedEngine(Corner(), turns).logits(image)[0, 1] for turns in (4, 8))
    assert four == pytest.approx((2 + 0 + 9 + 0) / 4)
    assert eight == pytest.approx((2 + 0 + 9 + 0 + 3 + 0 + 6 + 0) / 8)


def test_two_orientations_are_the_image_and_its_mirror_image():
    image = np.array([[[[1, 2, 4], [3, 5, 6], [9, 7, 8]]]], np.float32)
    assert TurnedEngine(Corner(), 2).logits(image)[0].tolist() == [(1 + 4) / 2, 2]


def test_other_numbers_of_turns_are_refused():
    with pytest.raises(ValueError, match="turns must be 2, 4 or 8, got 3"):
        TurnedEngine(Corner(), 3)


class CornerWithFeatures(Corner):
    """The same engine, whose features are the first three pixels of the top row."""

    def logits_and_features(self, inputs):
        return self.logits(inputs), inputs[:, 0, 0, :3]


def test_features_are_averaged_over_orientations():
    image = np.array([[[[1, 2, 4], [3, 5, 6], [9, 7, 8]]]], np.float32)
    engine = TurnedEngine(CornerWithFeatures(), 4)
    logits, features = engine.logits_and_features(image)
    assert np.array_equal(logits, engine.logits(image))
    # The top rows after quarter turns: 1 2 4, 4 6 8, 8 7 9 and 9 3 1.
    assert features[0].tolist() == [(1 + 4 + 8 + 9) / 4, (2 + 6 + 7 + 3) / 4, (4 + 8 + 9 + 1) / 4]
