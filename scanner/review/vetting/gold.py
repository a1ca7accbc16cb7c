"""Subjects whose answer is known: simulated arcs in real hosts, and known non-lenses. They come as data; others make them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from infra.frozen import Frozen
from infra.store.storage import CreateOutcome, create_if_absent, read_bytes
from scanner.review.vetting.errors import VettingError
from scanner.review.vetting.images import SKY_SHAPE, SubjectImage
from scanner.review.vetting.order import Subject

_MAGIC = b"lensscan gold 1\n"
_N_VALUES = int(np.prod(SKY_SHAPE))
_N_ARC = SKY_SHAPE[1] * SKY_SHAPE[2]

GoldRole = Literal["gold_lens", "gold_nonlens", "training_lens", "training_nonlens"]


class GoldAnswer(Frozen):
    """The facts about a gold subject, which the page gets after the vote."""

    name: Annotated[str, Field(pattern=r"^gold:[0-9]{1,18}$")]
    role: GoldRole
    kind: str = ""
    """Kind of the lens: `single`, `compound_arc` or `double_ring`; empty for a non-lens."""
    einstein_radius_arcsec: float | None = None
    host: str = ""
    """Origin of the host: its tile and `object_id`."""
    step: float
    """Size of one unit of the pixels, in sky sigma."""

    @property
    def is_lens(self) -> bool:
        return self.role.endswith("_lens")


@dataclass(frozen=True, eq=False)
class Gold:
    """A subject whose answer is known, with its pixels in the form of a candidate's."""

    answer: GoldAnswer
    values: NDArray[np.int16]
    """`[band, y, x]`, as `cutout_sigma`."""
    arcs: NDArray[np.bool_]
    """`[y, x]`: where the painted arcs are brighter than the noise in VIS; all false for a non-lens."""

    @property
    def subject(self) -> Subject:
        return Subject(self.answer.name, self.answer.role)

    @property
    def image(self) -> SubjectImage:
        return SubjectImage(self.values, self.answer.step)

    def told(self) -> dict[str, Any]:
        """Return the answer as JSON for the page: after the vote."""
        return {
            "is_lens": self.answer.is_lens,
            "kind": self.answer.kind,
            "einstein_radius_arcsec": self.answer.einstein_radius_arcsec,
            "arcs": np.packbits(self.arcs).tobytes().hex() if self.answer.is_lens else None,
        }


class _Answers(Frozen):
    answers: tuple[GoldAnswer, ...]


@dataclass(frozen=True, eq=False)
class GoldSet:
    """The gold subjects of a catalogue, alike for all graders."""

    subjects: Sequence[Gold] = ()

    def encode(self) -> bytes:
        """Return the bytes of a file: a line with the answers in JSON, then the pixels of each subject, then its arcs."""
        head = _Answers(answers=tuple(gold.answer for gold in self.subjects)).model_dump_json().encode()
        pixels = (gold.values.astype("<i2").tobytes() + np.packbits(gold.arcs).tobytes() for gold in self.subjects)
        return _MAGIC + head + b"\n" + b"".join(pixels)

    @classmethod
    def decode(cls, uri: str, data: bytes) -> Self:
        """Return the set of a file's bytes.

        Raises:
            VettingError: it is damaged; the message names `uri`.
        """
        head, _, pixels = data.removeprefix(_MAGIC).partition(b"\n")
        n_each = 2 * _N_VALUES + _N_ARC // 8
        try:
            answers = _Answers.model_validate_json(head).answers
        except ValidationError as error:
            raise VettingError(f"{uri}: holds no gold subjects; remove it, and the next start makes them again") from error
        if not data.startswith(_MAGIC) or len(pixels) != n_each * len(answers):
            raise VettingError(f"{uri}: is damaged; remove it, and the next start makes the gold subjects again")
        return cls([_gold(answer, pixels[i * n_each :][:n_each]) for i, answer in enumerate(answers)])

    def of_role(self, beginning: str) -> list[Gold]:
        """Return the subjects whose role begins so: `gold` or `training`."""
        return [gold for gold in self.subjects if gold.answer.role.startswith(beginning)]


def _gold(answer: GoldAnswer, data: bytes) -> Gold:
    values = np.frombuffer(data, "<i2", _N_VALUES).reshape(SKY_SHAPE).astype(np.int16)
    bits = np.unpackbits(np.frombuffer(data, np.uint8, _N_ARC // 8, 2 * _N_VALUES))
    return Gold(answer, values, bits.reshape(SKY_SHAPE[1:]).astype(bool))


def keep_first(uri: str, made: GoldSet) -> GoldSet:
    """Store a set unless another process has stored one first; return the stored one, which all graders share.

    Raises:
        StorageError: the store failed.
    """
    if create_if_absent(uri, made.encode(), "gold") is CreateOutcome.EXISTS:
        return GoldSet.decode(uri, read_bytes(uri))
    return made


def check_different(subjects: Iterable[Gold]) -> None:
    """Check that no two subjects have one name.

    Raises:
        VettingError: two have.
    """
    names = [gold.answer.name for gold in subjects]
    if len(set(names)) < len(names):
        raise VettingError("gold subjects must have different names")
