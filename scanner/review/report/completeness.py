"""The completeness of each night of a report, from the lenses that were injected into it."""

from collections.abc import Iterable
from dataclasses import dataclass

from scanner.catalogue.injected import Injected, InjectedError, is_current, read_injected
from scanner.catalogue.shown import shown_plans
from scanner.review.report.completeness_chart import CompletenessChart, completeness_charts
from scanner.vocabulary.kinds import KIND_WORDS, KINDS


@dataclass(frozen=True)
class KindLine:
    """The lenses of one kind."""

    kind: str
    kind_text: str
    n: int
    n_recovered: int
    completeness: str


@dataclass(frozen=True)
class NightCompleteness:
    """Completeness of one night, as the report shows it."""

    night: str
    trouble: str = ""
    """Why there is nothing to show; empty otherwise."""
    threshold: float = 0.0
    lines: tuple[KindLine, ...] = ()
    charts: tuple[CompletenessChart, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    realism: str = ""
    is_unlike: bool = False
    """Whether injected lenses are unlike the night's real candidates."""


def nights_completeness(root_uri: str, labels: Iterable[str]) -> list[NightCompleteness]:
    """Return what to say about those of the nights that lenses were injected into.

    Raises:
        StorageError: the store failed.
    """
    found = []
    for label in labels:
        try:
            injected = read_injected(root_uri, label)
        except InjectedError as error:
            found.append(NightCompleteness(label, str(error)))
            continue
        if injected is None:
            continue
        if is_current(injected, shown_plans(root_uri, label).get(label, [])):
            found.append(_completeness(label, injected))
        else:
            trouble = "lenses were injected into another scan of this night; `lensscan completeness` measures the shown one"
            found.append(NightCompleteness(label, trouble))
    return found


def _completeness(label: str, injected: Injected) -> NightCompleteness:
    sample, about, facts = injected.sample(), injected.arguments, injected.facts
    lines = []
    for kind in KINDS:
        is_kind = sample.kind == kind
        if is_kind.any():
            n_recovered = int(sample.is_recovered[is_kind].sum())
            lines.append(KindLine(kind, KIND_WORDS[kind], int(is_kind.sum()), n_recovered, str(sample.at(kind))))
    return NightCompleteness(
        night=label,
        threshold=about.threshold,
        lines=tuple(lines),
        charts=completeness_charts(sample),
        facts=(
            ("galaxies", f"of {len(facts.units)} of {facts.n_units} tiles or shards, chosen {facts.hosts}"),
            ("left out", facts.left_out_in_words),
            ("PSF", facts.psf),
            ("ensemble", f"{about.ensemble_name} {about.ensemble_sha256[:12]}, in float32"),
            ("asked for", f"{about.n} lenses, seed {about.seed}; {facts.n_failed} found no galaxy like their own"),
            ("code", about.code_version),
        ),
        realism=facts.realism_in_words,
        is_unlike=facts.realism is not None and facts.realism.is_low,
    )
