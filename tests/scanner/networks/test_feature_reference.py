"""The reference of an ensemble: embeddings and anomalies by hand, and what a package keeps of it."""

from fractions import Fraction

import numpy as np
import pytest
from pydantic import ValidationError
from safetensors.numpy import load, save
from sklearn.neighbors import NearestNeighbors

from infra.provenance import sha256_bytes
from scanner.networks.card_file import read_card
from scanner.networks.errors import PackageError
from scanner.networks.feature_reference import (
    MOST,
    N_AXES,
    NEIGHBOUR,
    STEP,
    Histogram,
    read_reference,
    with_reference,
)
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.prevalence import with_prevalence
from tests.scanner.ensembles import SPECS, write_test_package
from tests.scanner.feature_references import ABOUT, drawn_reference, give_reference

N_FEATURES = 7


@pytest.fixture
def package(tmp_path):
    """Return the folder of a package with a reference."""
    write_test_package(tmp_path / "mine", SPECS[:1])
    give_reference(tmp_path / "mine", drawn_reference(N_FEATURES))
    return tmp_path / "mine"


def test_an_embedding_is_the_rounded_projection(rng):
    reference = drawn_reference(N_FEATURES)
    features = (rng.integers(-60, 60, (20, N_FEATURES)) / 16).astype(np.float32)
    signed = features * np.abs(features)
    found = reference.embeddings(signed)
    assert (found.shape, found.dtype) == ((20, N_AXES), np.float32)
    for row in (0, 7):
        for axis in (0, N_AXES - 1):
            terms = zip(features[row], reference.projection[:, axis], strict=True)
            exact = sum(Fraction(float(x)) * Fraction(float(p)) for x, p in terms)
            assert found[row, axis] == float(round(exact / Fraction(STEP)) * Fraction(STEP))


def test_an_anomaly_is_the_distance_that_scikit_learn_finds(rng):
    reference = drawn_reference(N_FEATURES)
    embeddings = reference.embeddings(rng.normal(0, 3, (300, N_FEATURES)).astype(np.float32))
    scaled = np.clip((embeddings.astype(np.float64) - reference.centre) @ reference.scaling, -MOST, MOST)
    known = NearestNeighbors(n_neighbors=NEIGHBOUR, algorithm="brute").fit(reference.objects * STEP)
    expected = known.kneighbors(scaled)[0][:, -1] / reference.usual_distance
    # Rounding moves each of the 32 axes by half a step at most.
    np.testing.assert_allclose(reference.anomalies(embeddings), expected, atol=np.sqrt(N_AXES) * STEP / 2 / 5.5)
    assert np.ptp(expected) > 0.3


def test_an_object_has_the_same_bits_in_any_batch(rng):
    reference = drawn_reference(N_FEATURES)
    features = rng.normal(0, 9, (300, N_FEATURES)).astype(np.float32)
    whole = reference.embeddings(features)
    anomalies = reference.anomalies(whole)
    for size in (1, 7, 64):
        parts = [reference.embeddings(features[i : i + size]) for i in range(0, 300, size)]
        assert np.array_equal(np.concatenate(parts), whole)
        assert np.array_equal(np.concatenate([reference.anomalies(part) for part in parts]), anomalies)
    assert reference.anomalies(whole[:0]).shape == (0,)


def test_values_on_an_edge_belong_to_the_bin_above():
    histogram = Histogram(np.array([0.0, 1.0]), np.array([1, 1, 1]))
    assert histogram.of(np.float32([-5, -0.1, 0, 0.5, 1, 2, 3])).tolist() == [2, 2, 3]


def test_a_reference_comes_back_from_its_package(package):
    card, reference = read_card(package), drawn_reference(N_FEATURES)
    found = read_reference(package, card)
    for name in ("projection", "centre", "scaling", "objects"):
        assert np.array_equal(getattr(found, name), getattr(reference, name))
    assert found.usual_distance == reference.usual_distance
    for name, histogram in reference.histograms.items():
        assert found.histograms[name].edges.tolist() == histogram.edges.tolist()
        assert found.histograms[name].counts.tolist() == histogram.counts.tolist()
    assert card.feature_reference.description == "drawn"
    assert card.reference_sha256 == sha256_bytes((package / card.feature_reference.file).read_bytes())


def test_a_kill_before_the_new_card_leaves_the_old_reference(package):
    card, old = read_card(package), drawn_reference(N_FEATURES)
    with_reference(package, card, drawn_reference(N_FEATURES, seed=1), ABOUT)
    assert np.array_equal(read_reference(package, card).projection, old.projection)


def test_a_reference_changes_no_digest_of_the_ensemble(package, tmp_path):
    bare = write_test_package(tmp_path / "bare", SPECS[:1])
    assert read_card(package).sha256 == bare.sha256
    assert "feature_reference" not in (tmp_path / "bare" / "card.json").read_text()
    assert read_reference(tmp_path / "bare", bare) is None
    assert bare.reference_sha256 is None


def test_a_reference_of_other_weights_is_none(package):
    card = read_card(package)
    other = card.feature_reference.model_copy(update={"ensemble_sha256": "0" * 64})
    changed = card.model_copy(update={"feature_reference": other})
    assert read_reference(package, changed) is changed.reference_sha256 is None


@pytest.mark.parametrize(
    ("content", "text"), [(None, "embeddings need the reference"), (b"PAR1", "sha256 must be"), (b"", "sha256 must be")]
)
def test_a_damaged_reference_is_refused(package, content, text):
    card = read_card(package)
    if content is None:
        (package / card.feature_reference.file).unlink()
    else:
        (package / card.feature_reference.file).write_bytes(content)
    with pytest.raises(PackageError, match=text):
        read_reference(package, card)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"projection": np.zeros((N_FEATURES, 3), np.float32)}, "must have 32 axes"),
        ({"scaling": np.zeros((N_AXES, 3), np.float32)}, "must have 32 axes"),
        ({"objects": np.zeros((4, N_AXES), np.int16)}, "at least 5 objects"),
        ({"centre": np.full(N_AXES, np.nan, np.float32)}, "must be finite"),
        ({"usual_distance": np.zeros(1)}, "the last above 0"),
        ({"anomaly.edges": np.array([1.0, 0.0, 2.0])}, "ascending edges"),
        ({"p_lens.counts": np.array([1, 2])}, "one count more than edges"),
        ({"axis_1.counts": None}, "axis_1.counts"),
    ],
)
def test_a_reference_that_is_none_is_refused(package, change, text):
    """The digest is that of the file, so only the content is wrong."""
    card = read_card(package)
    path = package / card.feature_reference.file
    tensors = load(path.read_bytes()) | change
    data = save({name: values for name, values in tensors.items() if values is not None})
    path.write_bytes(data)
    about = card.feature_reference.model_copy(update={"sha256": sha256_bytes(data)})
    with pytest.raises(PackageError, match=f"not a reference .*{text}"):
        read_reference(package, card.model_copy(update={"feature_reference": about}))


def test_a_file_outside_of_the_package_is_refused(package):
    about = read_card(package).feature_reference
    with pytest.raises(ValidationError, match=r"file must be a plain file name ending in \.safetensors"):
        type(about).model_validate({**about.model_dump(), "file": "../other.safetensors"})


def test_a_copy_at_another_prevalence_has_no_reference(tmp_path):
    """Its first stage is another for the plan, and its scores are others."""
    with_prevalence(SHIPPED_DIR / "mer3-sim", tmp_path / "one", "one", 0.01, None)
    assert give_reference(tmp_path / "one", drawn_reference(96)).feature_reference is not None
    assert with_prevalence(tmp_path / "one", tmp_path / "two", "two", 0.02, None).feature_reference is None
