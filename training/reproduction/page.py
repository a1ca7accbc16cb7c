"""The page of a reproduction, made from its results alone."""

from collections.abc import Iterable, Sequence

from scanner.purity import ValueWithInterval
from scanner.vocabulary.kinds import KINDS
from training.evaluation.compound_calibration import CompoundCalibration
from training.evaluation.compound_selection import COMPOUND_KINDS
from training.evaluation.evaluate import RATES
from training.evaluation.evaluation_text import shown
from training.reproduction import paper, reasons
from training.reproduction.results import Architecture, Picture, Reproduction, Row, Selection, Table
from training.reproduction.selection import AT_HALF, AT_RATES
from training.reproduction.tables import MAX_REFERENCES, implied_share

_KIND = {"single": "single", "compound_arc": "compound arcs", "double_ring": "double rings"}
_SHOWN = (AT_HALF, list(AT_RATES)[-1])
_CHANCE = 0.05


def reproduction_markdown(results: Reproduction) -> str:
    """Return the page as Markdown; figures are in the folder `figures` beside it."""
    sections = [
        "# Wilde et al. (2022), reproduced",
        reasons.INTRODUCTION,
        _run(results),
        *([] if reasons.PUBLISHED in results.ensembles else [reasons.NO_WEIGHTS]),
        reasons.data(results.geometries),
        "## Answer",
        *_answer(results),
        "## Tables 3 and 4: architectures",
        *(_architecture(architecture) for architecture in results.architectures),
        *(part for table in results.tables for part in _compared(table, results)),
        "## The compound selection function",
        *_selection(results),
        "## `p_compound` and kinds",
        *_calibration(results),
        "## Figures",
        *(_picture(picture) for picture in sorted(results.pictures, key=_place)),
    ]
    return "\n\n".join(sections) + "\n"


def _run(results: Reproduction) -> str:
    counts = {
        name: ", ".join(f"{n} {_KIND.get(kind, kind)}" for kind, n in data.n_objects.items())
        for name, data in results.data.items()
    }
    objects = "; ".join(f"`{name}` (preset `{results.data[name].preset}`): {text}" for name, text in counts.items())
    ensembles = ", ".join(f"{name} `{sha[:12]}`" for name, sha in results.ensembles.items())
    made = f"Made by `{results.command}` (lensscan {results.code_version}) from {results.n} objects of each data set, seed "
    unused = ", which no shipped ensemble was trained with" if results.seed == reasons.UNUSED_SEED else ""
    return f"{made}{results.seed}{unused}. Scored: {objects}. Ensembles: {ensembles}."


def _answer(results: Reproduction) -> list[str]:
    """Return sentences that say how many scores select for or against compound lenses, and which are against them."""
    lines = []
    for data, name in dict.fromkeys((selection.data, selection.ensemble) for selection in results.selection):
        words = []
        for at in _SHOWN:
            found = _verdicts(results.selection, data, name, at)
            if found:
                against = [score for score, verdict in found if verdict == "against"]
                n_for = sum(verdict == "for" for _, verdict in found)
                named = f" ({', '.join(against)})" if against else ""
                counts = f"{len(against)} of {len(found)} select against compound lenses{named}, {n_for} for them"
                words.append(f"at {at}, {counts}, {len(found) - len(against) - n_for} neither")
        if words:
            lines.append(f"- {name} on `{data}`: {'; '.join(words)}.")
    if not lines:
        return ["There are too few lenses to say."]
    return [reasons.ANSWER, "\n".join(lines), "[Below](#the-compound-selection-function) is each of them, with its interval."]


def _verdicts(selections: Iterable[Selection], data: str, ensemble: str, at: str) -> list[tuple[str, str]]:
    """Return the names and the verdict of each comparison of an ensemble's scores at a threshold."""
    chosen = [s for s in selections if (s.data, s.ensemble, s.at) == (data, ensemble, at)]
    return [
        (f"{selection.score}: {_KIND[kind]}", _verdict(matched.difference))
        for selection in chosen
        for kind, matched in selection.matched.items()
    ]


def _verdict(difference: ValueWithInterval) -> str:
    if difference.high < 0:
        return "against"
    return "for" if difference.low > 0 else ""


def _architecture(architecture: Architecture) -> str:
    rows = [
        [
            f"{layer.number}",
            _shape(layer.paper_shape),
            _shape(layer.shape),
            f"{layer.paper_parameters}",
            f"{layer.n_parameters}",
        ]
        for layer in architecture.layers
    ]
    is_equal = architecture.paper_total == architecture.total and all(
        layer.paper_shape == layer.shape and layer.paper_parameters == layer.n_parameters for layer in architecture.layers
    )
    total = ["total", "", "", f"{architecture.paper_total}", f"{architecture.total}"]
    head = f"{architecture.network}, table {architecture.table}. {reasons.WHY[architecture.table]} "
    verdict = "All shapes and numbers of parameters are the paper's, without an error to state." if is_equal else "They differ."
    header = ("layer", "output, paper", "output, here", "parameters, paper", "parameters, here")
    return f"{head}{verdict}\n\n{table_of(header, [*rows, total])}"


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


_TITLES = {
    5: "Table 5: metrics at a threshold of 0.5",
    6: "Table 6: recall at a threshold of 0.5",
    7: "Table 7: known compound lenses",
}


def _compared(table: Table, results: Reproduction) -> list[str]:
    header = (*table.keys, "paper", *table.ensembles)
    rows = [[*row.what, _stated(row), *(shown(row.ours.get(name)) for name in table.ensembles)] for row in table.rows]
    note = (
        [reasons.SHARE.format(stated=paper.TEST_SHARE_STATED, implied=implied_share(), references=MAX_REFERENCES)]
        if table.number == 5
        else []
    )
    known = (results.known, results.known_of_one_image)
    why = reasons.why(table.number, results.ours, *known, counts_compound=results.counts_compound)
    return [f"## {_TITLES[table.number]}", table_of(header, rows), f"Why they differ: {why}", *note]


def _stated(row: Row) -> str:
    return "-" if row.paper is None else f"{row.paper:.4f}"


def _selection(results: Reproduction) -> list[str]:
    n = sum(len(selection.matched) for selection in results.selection if selection.at in _SHOWN)
    words = reasons.SELECTION.format(n=n, chance=round(_CHANCE * n), rate=RATES[-1], strict=RATES[0])
    parts = [words, reasons.SNR_REMARK, _balance(results)]
    for data in results.data:
        for at in _SHOWN:
            rows = [_selection_row(s) for s in results.selection if (s.data, s.at) == (data, at)]
            header = (
                "ensemble",
                "score",
                "false positives",
                *_KIND.values(),
                *(f"{_KIND[kind]} minus single" for kind in COMPOUND_KINDS),
            )
            parts += [f"### `{data}`, {at}", table_of(header, rows)]
    return parts


def _balance(results: Reproduction) -> str:
    names = {"einstein_radius1_arcsec": "Einstein radius", "arc_snr": "S/N", "lens_mag_vis": "magnitude"}
    rows = [
        [
            f"`{data}`",
            _KIND[kind],
            f"{balance.n_matched} of {balance.n}",
            f"{balance.n_single} ({balance.n_single_effective:.0f})",
            *(f"{balance.differences[name]:+.2f}" if name in balance.differences else "-" for name in names),
        ]
        for data, of_data in results.data.items()
        for kind, balance in of_data.balance.items()
    ]
    left = [f"difference left in {name}" for name in names.values()]
    return table_of(("data", "kind", "matched", "single lenses (effective)", *left), rows) + (
        "\n\nDifferences are in standard deviations of the property; below 0.1 they count as small."
    )


def _selection_row(selection: Selection) -> list[str]:
    recall = [shown(selection.recall.get(kind)) for kind in _KIND]
    compared = []
    for kind in COMPOUND_KINDS:
        matched = selection.matched.get(kind)
        verdict = "" if matched is None else _verdict(matched.difference)
        compared.append(shown(matched.difference if matched else None) + (f" **{verdict}**" if verdict else ""))
    return [selection.ensemble, selection.score, shown(selection.false_positives), *recall, *compared]


def _calibration(results: Reproduction) -> list[str]:
    judged = [(data, name, found) for data, of_data in results.calibration.items() for name, found in of_data.items()]
    if not judged:
        return ["There are too few lenses to judge `p_compound`, or no ensemble gives it."]
    here = ", ".join(dict.fromkeys(f"{found.compound_share:.1%} (`{data}`)" for data, _, found in judged))
    assumed = ", ".join(dict.fromkeys(f"{found.assumed_share:.1%} ({name})" for _, name, found in judged))
    header = ("data", "ensemble", "AUROC, compound against single", "error as given", "error recalibrated", "slope", "offset")
    rows = [
        [
            f"`{data}`",
            name,
            shown(found.auroc),
            shown(found.as_given.error),
            shown(found.recalibrated.error),
            f"{found.slope:.2f}",
            f"{found.offset:+.2f}",
        ]
        for data, name, found in judged
    ]
    return [
        reasons.CALIBRATION.format(share=assumed, here=here),
        table_of(header, rows),
        "What each kind is taken for (`subclass`), in percent of the objects of the kind:",
        *(_confusion(data, name, found) for data, name, found in judged),
    ]


def _confusion(data: str, name: str, found: CompoundCalibration) -> str:
    rows = []
    for kind, counts in found.confusion.items():
        n = sum(counts.values())
        rows.append([kind, str(n), *(f"{100 * counts[other] / n:.1f}" for other in KINDS)])
    return table_of((f"{name} on `{data}`", "objects", *KINDS), rows)


def _place(picture: Picture) -> int:
    """Return the place of a figure: ours first, then the paper's by number."""
    return int(picture.figure) if picture.figure.isdigit() else 0


def _picture(picture: Picture) -> str:
    number = f"Figure {picture.figure}" if picture.figure[0].isdigit() else picture.figure
    if picture.file is None:
        return f"**{number}** cannot be made from what is at hand: {picture.text}"
    return f"![{number}](figures/{picture.file})\n\n**{number}.** {picture.text}"


def table_of(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [list(header), ["---"] * len(header), *map(list, rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
