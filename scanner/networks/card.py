"""The card of an ensemble package: everything needed to run the package and to judge its scores."""

from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from infra.frozen import Frozen
from infra.provenance import digest
from scanner.networks.combiner import Combiner, MeanCombiner, SoftmaxStack
from scanner.networks.log_odds import lens_probability, restated
from scanner.networks.network_card import NetworkCard, Sha256, check_file_name, check_name
from scanner.networks.stage_cards import CandidateStage, EarlyExit, FirstStage
from scanner.networks.threshold import Threshold
from scanner.networks.training_data_card import TrainingDataCard
from scanner.purity import Cut, PurityTable
from scanner.vocabulary.geometry import GEOMETRIES
from scanner.vocabulary.kinds import KINDS
from scanner.vocabulary.network_columns import check_network_columns

_SAME_SHARE = 1e-9
"""Largest difference of two shares that are the same but for rounding."""
_ONE_STAGE = {"first": None, "early_exit": None, "candidate_stage": None}


class NonLensSampleCard(Frozen, allow_inf_nan=False):
    """Scores of non-lenses that no network saw, in a file beside the card."""

    file: str
    sha256: Sha256
    """Digest of the file."""
    ensemble_sha256: Sha256
    """`EnsembleCard.lens_sha256` of the ensemble that scored the objects."""
    n_objects: int = Field(ge=1)
    n_stored: int = Field(ge=0)
    """Number of objects whose score is in the file: those of at least `least`."""
    least: float = Field(ge=0, le=1)
    description: str
    """Origin of the objects."""

    @field_validator("file")
    @classmethod
    def _plain_file_name(cls, value: str) -> str:
        return check_file_name(value, "file", ".parquet")


class FeatureReferenceCard(Frozen, allow_inf_nan=False):
    """Reference that embeddings and anomalies are measured against, in a file beside the card."""

    file: str
    sha256: Sha256
    """Digest of the file."""
    ensemble_sha256: Sha256
    """`EnsembleCard.lens_sha256` of the ensemble that scored the objects."""
    n_objects: int = Field(ge=1)
    """Number of objects that the networks describe: those that reach the committee, if there are stages."""
    n_natural: int = Field(ge=1)
    """Number of objects in the histogram of scores."""
    description: str
    """Origin of the objects."""

    @field_validator("file")
    @classmethod
    def _plain_file_name(cls, value: str) -> str:
        return check_file_name(value, "file", ".safetensors")


class EnsembleCard(Frozen, allow_inf_nan=False):
    """The content of `card.json`."""

    format_version: Literal[2]
    name: str
    description: str
    purpose: str = ""
    """Uses that the ensemble is fit for, in a few words."""
    licence: str
    geometry: str
    first: FirstStage | None = None
    """Stage that looks at every object; None: the networks below look at every object themselves."""
    early_exit: EarlyExit | None = Field(default=None, exclude_if=lambda value: value is None)
    """Network of the committee that looks before the others; None: all look at what the first stage passes."""
    networks: tuple[NetworkCard, ...] = Field(min_length=1)
    """The committee, or all networks of an ensemble without a first stage."""
    combiner: Combiner
    candidate_stage: CandidateStage | None = Field(default=None, exclude_if=lambda value: value is None)
    """Networks that look at the candidates, tell their kind, and may correct their `p_lens`; None: no network does."""
    training_data: TrainingDataCard
    metrics: dict[str, float]
    """Metrics of the combination on objects that no network saw; empty where unknown."""
    calibration: str
    """Degree to which `p_lens` may be read as a probability."""
    assumed_prevalence: float | None = Field(gt=0, lt=1)
    """Fraction of lenses that `p_lens` assumes; None where it is not calibrated."""
    default_cut: float | None = Field(default=None, gt=0, lt=1)
    """Threshold on `p_lens` for candidates, the cut `list`; None: twice the prevalence."""
    deep_cut: float | None = Field(default=None, gt=0, lt=1, exclude_if=lambda value: value is None)
    """A lower one, the cut `deep`, chosen by the lenses that it loses; None: there is none."""
    cuts: tuple[Cut, ...] = ()
    """Purity and numbers for thresholds of `p_lens`, from `lensscan evaluate`, the lowest first; empty where unknown."""
    nonlens_sample: NonLensSampleCard | None = Field(default=None, exclude_if=lambda value: value is None)
    """Sample of non-lenses by which lists with a guaranteed purity are chosen; None: there are no such lists."""
    feature_reference: FeatureReferenceCard | None = Field(default=None, exclude_if=lambda value: value is None)
    """Objects that embeddings, anomalies and drift are measured against; None: scans store no embeddings."""
    probes: str = ""
    """Result of the bias probes in one line, from `lensscan evaluate --probes`; empty where unknown."""
    limits: tuple[str, ...]
    """Uses that the ensemble is not fit for, a sentence each."""
    citation: str

    _name = field_validator("name")(check_name)

    @property
    def candidate_threshold(self) -> float:
        """Default threshold on `p_lens`: the card's, or twice the prevalence, at most 0.5; 0.5 if not calibrated."""
        if self.default_cut is not None:
            return self.default_cut
        return 0.5 if self.assumed_prevalence is None else min(0.5, 2 * self.assumed_prevalence)

    def threshold(self, asked: Threshold | None) -> float:
        """Return the threshold on `p_lens` that is asked for by its name or as a number; None: the default one, `list`."""
        if asked == "deep" and self.deep_cut is not None:
            return self.deep_cut
        return self.candidate_threshold if asked is None or isinstance(asked, str) else asked

    @property
    def reference_sha256(self) -> str | None:
        """Digest of the file of the reference; None if there is none, or other weights made it."""
        about = self.feature_reference
        return about.sha256 if about is not None and about.ensemble_sha256 == self.lens_sha256 else None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.geometry not in GEOMETRIES:
            raise ValueError(f"geometry must be one of {sorted(GEOMETRIES)}, got {self.geometry!r}")
        check_network_columns(network.name for network in self.all_networks)
        files = [network.weights_file for network in self.all_networks]
        if len({file.lower() for file in files}) != len(files):
            raise ValueError(f"weights_file must differ between networks, got {files}")
        strays = [network.name for network in self.all_networks if network.geometry != self.geometry]
        if strays:
            raise ValueError(f"every network must read the geometry {self.geometry}, but these do not: {strays}")
        n_logit_margins = {network.name: len(network.classes) - 1 for network in self.networks}
        missing = [name for name in self.combiner.networks if name not in n_logit_margins]
        if missing:
            raise ValueError(f"the combiner names networks that the package lacks: {missing}")
        pools = isinstance(self.combiner, SoftmaxStack) and self.combiner.pooling != "each"
        expected = len(KINDS) - 1 if pools else sum(n_logit_margins[name] for name in self.combiner.networks)
        if isinstance(self.combiner, SoftmaxStack) and len(self.combiner.centre) != expected:
            raise ValueError(f"the combiner must read {expected} logit margins, got {len(self.combiner.centre)}")
        self._check_stages()
        if self.deep_cut is not None and self.deep_cut >= self.candidate_threshold:
            raise ValueError(f"deep_cut must lie below the default cut, {self.candidate_threshold:g}, got {self.deep_cut:g}")
        if self.cuts and self.assumed_prevalence is None:
            raise ValueError("cuts hold at an assumed prevalence only, but p_lens is not calibrated")
        PurityTable.of(self.cuts, self.assumed_prevalence)  # raises ValueError if the cuts are out of order
        return self

    def _check_stages(self) -> None:
        if self.first and not isinstance(self.combiner, SoftmaxStack):
            raise ValueError(f"the committee after a first stage must be combined by softmax_stack, got {self.combiner.kind}")
        if self.first and self.first.combiner.prevalence != self.assumed_prevalence:
            got, needed = self.first.combiner.prevalence, self.assumed_prevalence
            raise ValueError(f"the first stage must assume the prevalence of p_lens, {needed}, got {got}")
        if self.early_exit:
            self._check_early_exit(self.early_exit)
        if self.candidate_stage:
            self._check_candidate_stage(self.candidate_stage)

    def _check_early_exit(self, early_exit: EarlyExit) -> None:
        if self.first is None:
            raise ValueError("an early exit needs a first stage")
        n_logit_margins = {network.name: len(network.classes) - 1 for network in self.networks}
        if early_exit.network not in n_logit_margins or len(n_logit_margins) < 2:
            names = sorted(n_logit_margins)
            raise ValueError(
                f"the early exit must be one of at least two networks of the committee, {names}, got {early_exit.network}"
            )
        if len(early_exit.combiner.centre) != (needed := n_logit_margins[early_exit.network]):
            raise ValueError(f"the early exit must read {needed} logit margins, got {len(early_exit.combiner.centre)}")
        if early_exit.combiner.prevalence != self.assumed_prevalence:
            got, wanted = early_exit.combiner.prevalence, self.assumed_prevalence
            raise ValueError(f"the early exit must assume the prevalence of p_lens, {wanted}, got {got}")

    def _check_candidate_stage(self, candidate_stage: CandidateStage) -> None:
        if self.first is None:
            raise ValueError("a candidate network needs a first stage")
        if self.default_cut is None:
            raise ValueError("a candidate network needs a default_cut, which says which objects are candidates")
        names, read = tuple(network.name for network in self.networks), candidate_stage.combiner.committee
        if read != names:
            raise ValueError(f"the candidate network must be combined with the committee, {names}, got {read}")
        others = {network.name: network.classes for network in self.networks if network.classes != KINDS}
        if others:
            raise ValueError(f"a candidate network needs a committee whose networks distinguish {KINDS}, got {others}")
        # The committee after a first stage is a SoftmaxStack: that was checked before.
        if isinstance(self.combiner, SoftmaxStack):
            needed, got = self.combiner.assumed_compound_share, candidate_stage.combiner.assumed_compound_share
            if abs(needed - got) > _SAME_SHARE:
                raise ValueError(
                    f"the candidate network must assume the committee's share of compound lenses, {needed}, got {got}"
                )

    @property
    def lens_networks(self) -> tuple[NetworkCard, ...]:
        """The networks whose probabilities of a lens are stored: the first stage's, if there is one, and the committee's."""
        return (self.first.network, *self.networks) if self.first else self.networks

    @property
    def all_networks(self) -> tuple[NetworkCard, ...]:
        """All networks: `lens_networks`, then those of the candidate stage, if there is one."""
        return (*self.lens_networks, *self.candidate_stage.networks) if self.candidate_stage else self.lens_networks

    @property
    def first_stage_card(self) -> "EnsembleCard | None":
        """Card of the first stage as an ensemble of one network; None without a first stage."""
        if self.first is None:
            return None
        changed = {"networks": (self.first.network,), "combiner": self.first.combiner, **_ONE_STAGE}
        return self.model_copy(update={**changed, "cuts": (), "default_cut": None, "deep_cut": None})

    @property
    def candidate_stage_card(self) -> "EnsembleCard | None":
        """Card of the candidate stage as an ensemble, whose combined scores mean nothing; None without one."""
        if self.candidate_stage is None:
            return None
        networks = self.candidate_stage.networks
        names = tuple(network.name for network in networks)
        changed = {"networks": networks, "combiner": MeanCombiner(kind="mean", networks=names), **_ONE_STAGE}
        return self.model_copy(
            update={**changed, "cuts": (), "default_cut": None, "deep_cut": None, "assumed_prevalence": None}
        )

    @property
    def purity_table(self) -> PurityTable | None:
        """Expected purity and numbers for every `p_lens`; None where unknown."""
        shares = None
        if isinstance(self.combiner, SoftmaxStack):
            shares = self.combiner.fitted_compound_share, self.combiner.assumed_compound_share
        return PurityTable.of(self.cuts, self.assumed_prevalence, shares)

    def p_of_network(self, name: str, margins: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of a lens, `[object]`, that a network alone gives, at the prevalence of `p_lens`.

        It is calibrated where the card has a regression that one network can use: that of a stage of one network, or one that
        pools the networks, as if all of them said the same. Otherwise it is what the network gives, `at_assumed_prevalence`.

        Args:
            name: One of `lens_networks`.
            margins: Its logit margins, `[object, class - 1]`.
        """
        stages = [stage.combiner for stage in (self.first, self.early_exit) if stage and stage.combiner.networks == (name,)]
        combiner = stages[0] if stages else self.combiner
        if isinstance(combiner, SoftmaxStack) and (combiner.pooling != "each" or len(combiner.networks) == 1):
            return combiner.lens_probabilities(dict.fromkeys(combiner.networks, margins))
        return self.at_assumed_prevalence(lens_probability(margins))

    def at_assumed_prevalence(self, p_network: NDArray[np.floating]) -> NDArray[np.float64]:
        """Move probabilities of a lens that networks give, `[object]`, from their training to the prevalence of `p_lens`.

        The regression was fitted on the same mixture of objects as the networks. Without one they stay as they are.
        """
        if not isinstance(self.combiner, SoftmaxStack) or self.assumed_prevalence is None:
            return p_network.astype(np.float64)
        return restated(p_network, self.combiner.fitted_prevalence, self.assumed_prevalence)

    @property
    def sha256(self) -> str:
        """Digest of everything that decides a score: inputs, weights and combiner, without metrics and texts."""
        return digest({**self._what_decides_lenses(), **self._what_decides_kinds()})

    @property
    def lens_sha256(self) -> str:
        """Digest of everything that decides `p_lens` and the features of the networks, which only telling kinds does not."""
        if self.candidate_stage and self.candidate_stage.lens:
            return self.sha256
        return digest(self._what_decides_lenses())

    def _what_decides_kinds(self) -> dict[str, Any]:
        stage = self.candidate_stage
        if stage is None:
            return {}
        # A candidate network looks from the lowest cut on, unless it corrects `p_lens` from a lower one on.
        lowest = self.threshold("deep")
        cut = {"looks_from": lowest} if stage.lens is None or lowest < stage.lens.from_p_lens else {}
        return {"candidate_stage": {**stage.what_decides(), **cut}}

    def _what_decides_lenses(self) -> dict[str, Any]:
        networks = [network.what_decides() for network in self.networks]
        decides: dict[str, Any] = {"geometry": self.geometry, "networks": networks, "combiner": self.combiner.what_decides()}
        if self.first:
            decides["first"] = {"network": self.first.network.what_decides(), **self.first.what_decides()}
        if self.early_exit:
            decides["early_exit"] = {"network": self.early_exit.network, **self.early_exit.what_decides()}
        return decides
