"""`lensscan reproduce wilde2022`: the tables and figures of Wilde et al. (2022) from our simulations."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from flows.ensembles import chosen_package
from infra.progress import NamingProgress
from infra.provenance import digest
from infra.settings import Settings
from scanner.explain.feature_visualisation import VisualisationSettings
from scanner.networks.architectures import PAPER_NETWORKS
from scanner.networks.card import EnsembleCard
from scanner.networks.card_file import read_card
from scanner.networks.cascade import Scorer
from scanner.networks.engines import resolve_engine
from scanner.networks.errors import PackageError
from scanner.networks.package import load_scorer
from scanner.networks.published import import_published
from scanner.vocabulary.geometry import CHALLENGE
from simulation.population.draw import Shares
from simulation.products.dataset import DatasetSpec, per_object, simulate_objects
from training.errors import TrainingError
from training.evaluation.stated_data import same_objects
from training.reproduction.known import KnownLenses, read_known, score_known
from training.reproduction.parts import Part, parts_of, read_parts, write_part
from training.reproduction.reasons import PUBLISHED
from training.reproduction.reproduce import PAPER, Scored, write_page
from training.reproduction.results import Reproduction
from training.reproduction.sample import ScoredSample

KIND_SHARES: Shares = (("nonlens", 0.4), ("single", 0.2), ("compound_arc", 0.2), ("double_ring", 0.2))
"""Shares of the kinds in both data sets: enough of each for its recall."""
OURS, FLAGSHIP = "ours", "flagship"
"""Roles of ensembles, besides `PUBLISHED`: the paper's networks as we trained them, and our best ensemble."""
OWN = "own"
"""Data set, besides `PAPER`, of the lenses that our networks are trained for, in MER stamps."""
PARTS = "parts"
"""Folder of what is kept of an interrupted run."""


@dataclass(frozen=True)
class Contender:
    """An ensemble that is scored."""

    name: str
    folder: Path
    card: EnsembleCard

    @property
    def label(self) -> str:
        """Name of the files of its scores: another ensemble of this name has another."""
        return f"{self.name}-{self.card.sha256[:12]}"


@dataclass(frozen=True)
class Sample:
    """A data set, and the ensembles that score it."""

    name: str
    spec: DatasetSpec
    contenders: tuple[Contender, ...]
    parts: tuple[Part, ...]

    @property
    def labels(self) -> list[str]:
        return [contender.label for contender in self.contenders]

    def read(self) -> ScoredSample:
        """Return truth and scores of all objects."""
        scores = {contender.name: read_parts(self.parts, contender.label) for contender in self.contenders}
        return ScoredSample.of(
            read_parts(self.parts), scores, {contender.name: contender.card for contender in self.contenders}
        )


def reproduce(
    out: Path,
    n: int,
    seed: int,
    published: Path | None,
    compound: Path | None,
    ensemble: str,
    flagship: str,
    steps: int,
    progress: NamingProgress,
) -> Reproduction:
    """Simulate, score, compare and draw; write `wilde2022.md`, `wilde2022.json` and the folder `figures` under `out`.

    What an earlier run with this seed and these ensembles has finished is kept.

    Args:
        out: Folder to write to.
        n: Number of objects of each data set.
        seed: Seed of both data sets.
        published: Folder with the authors' weights.
        compound: Folder with `manifest.csv` of known compound lenses, or the manifest.
        ensemble: Name or folder of an ensemble of the paper's networks.
        flagship: Name or folder of the ensemble to compare with.
        steps: Most steps of each gradient ascent.
        progress: Called with (objects or figures done, all of them), and what is at work.

    Raises:
        LensscanError: an argument cannot be used.
    """
    out.mkdir(parents=True, exist_ok=True)
    contenders = contenders_of(out, published, ensemble, flagship)
    known = None if compound is None else read_known(compound, CHALLENGE)
    samples = samples_of(out, n, seed, contenders)
    score_samples(samples, progress)
    command = _command(n, seed, published, compound, ensemble, flagship, steps)
    scored = _scored(samples, contenders, known, command, VisualisationSettings().of_at_most(steps))
    return write_page(scored, out, out / PARTS, lambda done, total: progress(done, total, ["figures"]))


def _scored(
    samples: Mapping[str, Sample],
    contenders: Mapping[str, Contender],
    known: KnownLenses | None,
    command: str,
    settings: VisualisationSettings,
) -> Scored:
    """Score the known lenses, and gather everything that the page shows."""
    paper = samples[PAPER]
    return Scored(
        n=paper.spec.n,
        seed=paper.spec.seed,
        command=command,
        samples={name: sample.read() for name, sample in samples.items()},
        specs={name: (sample.spec.preset, sample.spec.geometry) for name, sample in samples.items()},
        folders={contender.name: contender.folder for contender in paper.contenders},
        ensembles={contender.name: contender.card.sha256 for contender in contenders.values()},
        ours=contenders[OURS].name,
        known=known,
        known_scores=None if known is None else _known_scores(known, paper.contenders),
        simulate=lambda indices: simulate_objects(paper.spec, indices),
        settings=settings,
    )


def contenders_of(out: Path, published: Path | None, ensemble: str, flagship: str) -> dict[str, Contender]:
    """Return the ensembles by their role; `PUBLISHED` only if its weights are given, which are imported into `out`.

    Raises:
        PackageError: an ensemble is missing or damaged, has not the paper's networks, or has the name of another.
    """
    found = {OURS: _contender(chosen_package(ensemble)), FLAGSHIP: _contender(chosen_package(flagship))}
    expected = [spec.name for spec in PAPER_NETWORKS]
    networks = [network.name for network in found[OURS].card.all_networks]
    if networks != expected:
        raise PackageError(f"{ensemble}: must have the paper's networks {', '.join(expected)}, got {', '.join(networks)}")
    if published is not None:
        import_published(published, out / PARTS / PUBLISHED, PUBLISHED)
        found = {PUBLISHED: _contender(out / PARTS / PUBLISHED), **found}
    names = [contender.name for contender in found.values()]
    if len(set(names)) < len(names):
        raise PackageError(f"the ensembles to compare must have different names, got {', '.join(names)}")
    return found


def _contender(folder: Path) -> Contender:
    card = read_card(folder)
    return Contender(card.name, folder, card)


def samples_of(out: Path, n: int, seed: int, contenders: Mapping[str, Contender]) -> dict[str, Sample]:
    """Return both data sets by name.

    Raises:
        TrainingError: an ensemble was trained or calibrated on their objects.
    """
    of_paper = tuple(contenders[role] for role in (PUBLISHED, OURS) if role in contenders)
    with_flagship = (*of_paper, contenders[FLAGSHIP])
    specs = {
        PAPER: (DatasetSpec(n=n, seed=seed, preset="wilde2022", kinds=KIND_SHARES, geometry="challenge"), of_paper),
        OWN: (DatasetSpec(n=n, seed=seed, preset="euclid", kinds=KIND_SHARES, geometry="mer"), with_flagship),
    }
    for spec, ensembles in specs.values():
        _check_seed(spec, ensembles)
    return {name: _sample(out, name, spec, ensembles) for name, (spec, ensembles) in specs.items()}


def _check_seed(spec: DatasetSpec, contenders: tuple[Contender, ...]) -> None:
    for contender in contenders:
        if same_objects([per_object(spec)], contender.card.training_data.simulations):
            raise TrainingError(f"seed must be one that {contender.name} was not trained or calibrated with, got {spec.seed}")


def _sample(out: Path, name: str, spec: DatasetSpec, contenders: tuple[Contender, ...]) -> Sample:
    origin = digest(spec.model_dump(mode="json", exclude={"n"}))[:12]
    folder = out / PARTS / f"{name}-seed{spec.seed}-{origin}"
    return Sample(name, spec, contenders, tuple(parts_of(folder, spec.n)))


def score_samples(samples: Mapping[str, Sample], progress: NamingProgress) -> None:
    """Simulate and score the objects whose files are missing, both data sets in turn; `progress` counts objects of both.

    Raises:
        LensscanError: an object cannot be simulated, or an ensemble cannot be used.
    """
    scorers: dict[str, Scorer] = {}
    total = sum(sample.spec.n for sample in samples.values())
    todo = list(_todo(samples))
    done = total - sum(part.n for _, part, _ in todo)
    for sample, part, labels in todo:
        progress(done, total, [f"data set {sample.name}"])
        for contender in sample.contenders:
            if contender.label in labels and contender.label not in scorers:
                scorers[contender.label] = load_scorer(contender.folder, resolve_engine(Settings.read().engine))
        shard = simulate_objects(sample.spec, part.indices)
        write_part(part, shard, {label: scorers[label] for label in sample.labels if label in labels})
        done += part.n
    progress(done, total)


def _todo(samples: Mapping[str, Sample]) -> Iterator[tuple[Sample, Part, list[str]]]:
    """Yield the parts of which files are missing, and the labels of these, the data sets in turn."""
    for parts in zip(*(sample.parts for sample in samples.values()), strict=True):
        for sample, part in zip(samples.values(), parts, strict=True):
            if labels := part.missing(sample.labels):
                yield sample, part, labels


def _known_scores(known: KnownLenses, contenders: tuple[Contender, ...]) -> dict:
    """Return the scores of known lenses by object, ensemble and network."""
    engine = resolve_engine(Settings.read().engine)
    by_ensemble = {of.name: score_known(known, load_scorer(of.folder, engine).score) for of in contenders}
    return {name: {ensemble: scores[name] for ensemble, scores in by_ensemble.items()} for name in known.names}


def _command(n: int, seed: int, published: Path | None, compound: Path | None, ensemble: str, flagship: str, steps: int) -> str:
    """Return the command that makes the same page, without the names of folders of this machine."""
    given = " --published WEIGHTS" * (published is not None) + " --compound FOLDER" * (compound is not None)
    names = f"--ensemble {Path(ensemble).name} --flagship {Path(flagship).name}"
    return f"lensscan reproduce wilde2022 --n {n} --seed {seed} {names} --steps {steps}{given}"
