"""The report of the bias probes as Markdown, and its line on the card."""

from collections.abc import Iterable, Sequence

from scanner.purity import ValueWithInterval
from scanner.vocabulary.kinds import KINDS
from training.evaluation.metrics import N_BOOTSTRAP
from training.evaluation.probe_gate import DropOut, KindEffect, ProbeEffect, ProbeReport

_SHIFTED = """\
Share of rows whose `detail` says that a band is shifted; the band is another one from object to object, the direction is drawn.
Candidates without a note: non-lenses at or above the cut whose row says nothing, of all non-lenses there."""
_SHOWN = 0.005
"""Half of the last digit of a change that is shown."""
_COLUMNS = ("probe", "change of log-odds", "below the cut", "kinds that differ", "non-lenses above the cut", "limit", "kept")
_HOW = f"""\
Each object is simulated again and again with one thing changed and the same surroundings, telescope and noise. Change of
log-odds: median over all lenses of ln(p/(1-p)) of `p_lens` after the change less before, with its 95 % interval from
{N_BOOTSTRAP} bootstrap resamples of lenses. Below the cut: share of lenses below {{cut:g}}, the ensemble's default cut, before
and after. Kinds that differ: kinds of lens whose interval does not hold the median of all. Non-lenses above the cut: share
before and after; changes that make sense for lenses alone have none. Limits: largest fall and rise of the log-odds,
exceeded by the median of all lenses, or by a kind of lens with its whole interval; largest rise of the share of lenses
below the cut (lost), and of non-lenses above it (gained)."""


def probes_markdown(report: ProbeReport, ensemble: str, command: str) -> str:
    """Return the text of PROBES.md.

    Args:
        report: Results of the probes.
        ensemble: Name and digest of the ensemble.
        command: Command that makes this text.
    """
    sections = [
        f"# Bias probes of {ensemble}",
        f"{_counts(report)}, simulated by the preset `euclid` (`{command}`).",
        _HOW.format(cut=report.threshold),
        _table(_COLUMNS, (_row(effect) for effect in report.effects)),
        "## Bands that are shifted, blank or missing",
        _shifted_text(report.effects),
        _table(("band", "how", "rows", "scored by some networks", "rows that say so"), map(_drop_out, report.drop_outs)),
        "## Networks",
        "Median change of each network's own log-odds, over the lenses that it looked at before and after.",
        _networks(report.effects),
        "## Verdict",
        "\n".join(f"- {sentence}" for sentence in report.failures) or "Every limit is kept.",
        "## Why these limits",
        _reasons(report.effects),
    ]
    return "\n\n".join(sections) + "\n"


def probes_line(report: ProbeReport) -> str:
    """Return the report in one line, for the card."""
    n = len([effect for effect in report.effects if effect.limit]) + len(report.drop_outs)
    exceeded = f"; exceeded: {', '.join(report.exceeded)}" if report.exceeded else ""
    return f"{n - len(report.exceeded)} of {n} limits kept on {_counts(report)}{exceeded}."


def _counts(report: ProbeReport) -> str:
    return ", ".join(f"{n} {kind}" for kind, n in report.n_objects.items())


def _row(effect: ProbeEffect) -> list[str]:
    lenses, others = effect.lenses, effect.kinds.get(KINDS[0])
    above = "-" if others is None else f"{1 - others.below_before:.3f} → {1 - others.below_after.value:.3f}"
    kept = "-" if not effect.limit else "no" if effect.failures else "yes"
    below = f"{lenses.below_before:.3f} → {shown_share(lenses.below_after)}"
    return [effect.probe, shown_change(lenses.median_change), below, _different(effect), above, effect.limit or "-", kept]


def _different(effect: ProbeEffect) -> str:
    pooled = effect.lenses.median_change.value
    return "; ".join(
        f"{kind} {shown_change(of.median_change)}"
        for kind, of in effect.kinds.items()
        if kind != KINDS[0] and not of.median_change.low - _SHOWN <= pooled <= of.median_change.high + _SHOWN
    )


def _shifted_text(effects: Sequence[ProbeEffect]) -> str:
    """Say how many rows note a shifted band, for each change of which that was asked."""
    rows = []
    for effect in effects:
        asked = {"all lenses": effect.lenses, **effect.kinds}
        cells = [_noticed(asked.get(name)) for name in ("all lenses", *KINDS)]
        if any(cell != "-" for cell in cells):
            rows.append([effect.probe, *cells, _silent(effect)])
    return f"{_SHIFTED}\n\n" + _table(("change", "all lenses", *KINDS, "candidates without a note"), rows)


def _noticed(effect: KindEffect | None) -> str:
    return "-" if effect is None or effect.noticed is None else shown_share(effect.noticed)


def _silent(effect: ProbeEffect) -> str:
    others = effect.kinds.get(KINDS[0])
    if others is None or others.n_silent_above is None:
        return "-"
    return f"{others.n_silent_above} of {round(others.n * (1 - others.below_after.value))}"


def _drop_out(of: DropOut) -> list[str]:
    return [of.band, of.how, str(of.n), str(of.n_scored), str(of.n_stated)]


def _reasons(effects: Sequence[ProbeEffect]) -> str:
    probes: dict[tuple[str, str], list[str]] = {}
    for effect in effects:
        if effect.limit:
            probes.setdefault((effect.limit, effect.reason), []).append(effect.probe)
    return "\n".join(f"- {', '.join(names)} ({limit}): {reason}." for (limit, reason), names in probes.items())


def _networks(effects: Sequence[ProbeEffect]) -> str:
    names = list(dict.fromkeys(name for effect in effects for name in effect.networks))
    rows = (
        [effect.probe, *(f"{effect.networks[name].value:+.2f}" if name in effect.networks else "-" for name in names)]
        for effect in effects
    )
    return _table(("probe", *names), rows)


def shown_change(change: ValueWithInterval) -> str:
    """Return a change of log-odds with its interval, such as `-0.21 (-0.30 to -0.12)`."""
    return f"{change.value:+.2f} ({change.low:+.2f} to {change.high:+.2f})"


def shown_share(share: ValueWithInterval) -> str:
    """Return a share with its interval, such as `0.120 (0.070 to 0.198)`."""
    return f"{share.value:.3f} ({share.low:.3f} to {share.high:.3f})"


def _table(header: tuple[str, ...], rows: Iterable[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in ([*header], ["---"] * len(header), *rows))
