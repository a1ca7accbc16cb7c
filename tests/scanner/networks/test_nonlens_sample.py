import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from infra.provenance import sha256_bytes
from scanner.networks.card_file import read_card, write_card
from scanner.networks.errors import PackageError
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.nonlens_sample import NonLensTail, read_sample, with_sample
from scanner.networks.prevalence import with_prevalence
from tests.scanner.ensembles import SPECS, write_test_package

SCORES = np.float32([0.3, 0.001, 0.7, 0.2, 0.0, 0.2, 0.05, 1e-6])


def _written(table):
    sink = io.BytesIO()
    pq.write_table(pa.table(table), sink)
    return sink.getvalue()


def _torn(table):
    """Return a file whose footer is whole, and whose first page is not."""
    content = _written(table)
    return content[:4] + bytes(len(content) // 3) + content[4 + len(content) // 3 :]


@pytest.fixture
def package(tmp_path):
    """Return the folder of a package with a sample of eight scores, of which five are stored."""
    card = write_test_package(tmp_path / "mine", SPECS[:1])
    write_card(tmp_path / "mine", with_sample(tmp_path / "mine", card, NonLensTail.of(SCORES, 0.05), "eight objects"))
    return tmp_path / "mine"


def test_a_sample_comes_back_from_its_package(package):
    card = read_card(package)
    tail = read_sample(package, card)
    assert tail.p_lens.tolist() == np.float32([0.05, 0.2, 0.2, 0.3, 0.7]).tolist()
    assert (tail.p_lens.dtype, tail.n, tail.least) == (np.float32, 8, 0.05)
    about = card.nonlens_sample
    assert (about.n_objects, about.n_stored, about.description) == (8, 5, "eight objects")
    assert about.sha256 == sha256_bytes((package / about.file).read_bytes())


def test_a_kill_before_the_new_card_leaves_the_old_sample(package):
    card = read_card(package)
    with_sample(package, card, NonLensTail.of(SCORES / 2, 0.05), "other objects")
    assert read_sample(package, card).p_lens.tolist() == np.float32([0.05, 0.2, 0.2, 0.3, 0.7]).tolist()


def test_the_shipped_sample_keeps_its_plain_name():
    card = read_card(SHIPPED_DIR / "mer3-cascade")
    assert card.nonlens_sample.file == "nonlenses.parquet"
    assert len(read_sample(SHIPPED_DIR / "mer3-cascade", card).p_lens) == card.nonlens_sample.n_stored


def test_p_values_count_the_sample(package):
    tail = read_sample(package, read_card(package))
    scores = np.float32([0.9, 0.7, 0.25, 0.2, 0.05, 0.049])
    expected = [(1 + int(np.sum(score <= SCORES))) / 9 for score in scores[:5]]
    assert tail.p_values(scores).tolist() == pytest.approx([*expected, 1.0])


def test_a_score_at_the_least_is_one_of_the_tail():
    tail = NonLensTail.of(np.float32([0.5, 0.125, 0.25]), 0.25)
    assert tail.p_lens.tolist() == [0.25, 0.5]
    assert tail.p_values(np.float32([0.25, 0.5, 0.125])).tolist() == [3 / 4, 2 / 4, 1]
    # As a float32, 0.7 is below the float64.
    below = NonLensTail.of(np.float32([0.7]), 0.7)
    assert len(below.p_lens) == 0
    assert below.p_values(np.float32([0.7])).tolist() == [1]


def test_a_package_without_a_sample_has_none(tmp_path):
    card = write_test_package(tmp_path, SPECS[:1])
    assert read_sample(tmp_path, card) is None
    assert "nonlens_sample" not in (tmp_path / "card.json").read_text()


def test_a_sample_of_other_weights_is_none(package):
    card = read_card(package)
    other = card.nonlens_sample.model_copy(update={"ensemble_sha256": "0" * 64})
    assert read_sample(package, card.model_copy(update={"nonlens_sample": other})) is None


@pytest.mark.parametrize(
    ("content", "text"),
    [(None, "guaranteed lists need the sample"), (b"PAR1", "sha256 must be"), (b"", "sha256 must be")],
)
def test_a_damaged_sample_is_refused(package, content, text):
    card = read_card(package)
    if content is None:
        (package / card.nonlens_sample.file).unlink()
    else:
        (package / card.nonlens_sample.file).write_bytes(content)
    with pytest.raises(PackageError, match=text):
        read_sample(package, card)


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ({"p_lens": np.float32([0.2, 0.3])}, "must hold 5 scores, ascending, got 2"),
        ({"p_lens": np.float32([0.3, 0.2, 0.4, 0.5, 0.6])}, "must hold 5 scores, ascending, got 5"),
        ({"other": np.float32([0.3])}, "not a sample of non-lenses"),
        ({"p_lens": ["high"]}, "not a sample of non-lenses"),
        (b"no table", "not a sample of non-lenses"),
        (_torn({"p_lens": SCORES}), "not a sample of non-lenses"),
    ],
)
def test_a_sample_that_is_none_is_refused(package, table, text):
    """The digest is that of the file, so only the content is wrong."""
    card = read_card(package)
    path = package / card.nonlens_sample.file
    path.write_bytes(table if isinstance(table, bytes) else _written(table))
    about = card.nonlens_sample.model_copy(update={"sha256": sha256_bytes(path.read_bytes())})
    with pytest.raises(PackageError, match=text):
        read_sample(package, card.model_copy(update={"nonlens_sample": about}))


def test_a_file_outside_of_the_package_is_refused(package):
    about = read_card(package).nonlens_sample
    with pytest.raises(ValidationError, match=r"file must be a plain file name ending in \.parquet"):
        type(about).model_validate({**about.model_dump(), "file": "../other.parquet"})


def test_a_copy_at_another_prevalence_has_no_sample(tmp_path):
    """Its scores are others, so that ranks among the old ones mean nothing."""
    with_prevalence(SHIPPED_DIR / "mer3-sim", tmp_path / "one", "one", 0.01, None)
    write_card(tmp_path / "one", with_sample(tmp_path / "one", read_card(tmp_path / "one"), NonLensTail.of(SCORES, 0.1), ""))
    assert read_card(tmp_path / "one").nonlens_sample is not None
    assert with_prevalence(tmp_path / "one", tmp_path / "two", "two", 0.02, None).nonlens_sample is None
