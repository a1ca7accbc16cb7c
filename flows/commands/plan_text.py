"""The output of `lensscan plan` for people: names in words, numbers with their units."""

from flows.commands.plan import PlanReport, Prediction
from flows.commands.words import counted, left_out, named, of_survey, unmatched
from scanner.scan.expected_candidates import Expectation
from scanner.scan.planned_input import PlannedInput


def plan_text(report: PlanReport) -> str:
    """Return the lines of a report, each ended."""
    sections = [_aligned({"ensemble": report.ensemble, **_of_input(report.input)})]
    if report.prediction:
        sections += [_of_measurement(report.prediction, report.input.unit_kind), _of_cost(report.prediction, report.input)]
    return "\n".join(sections)


def _of_input(found: PlannedInput) -> dict[str, str]:
    lines = {"input": f"{counted(found.units, found.unit_kind)}, {counted(found.rows, 'object')}, {_bytes(found.input_bytes)}"}
    lines |= of_survey(found.survey, found.bands)
    if found.sources:
        lines["selected"] = f"{counted(found.rows_selected, 'object')}: {found.sources}"
    if found.targets_unmatched and found.targets_unmatched.n:
        lines["unmatched"] = unmatched(found.targets_unmatched)
    if found.rows_in_overlaps:
        more = f"{counted(found.rows_in_overlaps, 'further entry', 'further entries')} of the same objects"
        lines["overlaps"] = f"{found.unit_kind}s overlap: {more}; a scan scores each object once"
    if found.tiles_left_out:
        them = "it" if len(found.tiles_left_out) == 1 else "them"
        lines["left out"] = f"{left_out(found.tiles_left_out)}; a scan leaves {them} out"
    if found.tiles_without_bands:
        tiles = [f"{tile} ({', '.join(bands)})" for tile, bands in found.tiles_without_bands.items()]
        lacking = counted(len(tiles), "tile lacks a mosaic", "tiles lack a mosaic")
        rejected = counted(found.rows_without_bands, "object")
        theirs = "its" if len(tiles) == 1 else "their"
        lines["incomplete"] = f"{lacking}: {named(tiles)}; a scan rejects {theirs} {rejected}"
    return lines


def _of_measurement(prediction: Prediction, unit_kind: str) -> str:
    speed = prediction.measured
    cores = counted(speed.threads, "core")
    lines = {
        "  start": f"{speed.start_s:.1f} s until the networks are loaded",
        "  read": f"{_bytes(speed.fetch_bytes_per_s)} per second (a file that was read before comes from memory)",
        "  cut out": f"{_number(speed.cut_per_s)} objects per second on one core",
        "  score": f"{_number(speed.score_per_s)} objects per second on {cores}",
        "  candidates": f"{speed.n_shown} of the {speed.n_scored} objects scored have p_lens ≥ {prediction.threshold:g}",
    }
    if speed.s_per_photometry:
        lines["  photometry"] = f"{1000 * speed.s_per_photometry:.1f} ms per candidate"
    if speed.s_per_map:
        lines["  maps"] = f"{1000 * speed.s_per_map:.0f} ms and {_bytes(2 * speed.written_bytes_per_map)} per candidate"
    return f"Measured on this machine with {unit_kind} {speed.unit_id}\n{_aligned(lines)}"


def _of_cost(prediction: Prediction, found: PlannedInput) -> str:
    cost = prediction.estimate
    what = "this input" if prediction.is_of_input else f"{counted(cost.n_units, found.unit_kind)} like it"
    each = _bytes(cost.memory_bytes_per_worker)
    lines = {
        "  objects": _number(cost.n_rows),
        "  time": f"{_duration(cost.wall_hours)} ({cost.limited_by} takes longest)",
        "  computing": f"{_number(cost.core_hours)} core hours",
        "  download": f"{_bytes(cost.read_bytes)}, if the input lies in a store; the store's provider may charge for it",
        "  catalogue": f"{_bytes(cost.written_bytes)}, with maps of {counted(cost.n_maps, 'candidate')}",
        "  memory": f"{each} per worker, {_bytes(cost.memory_bytes)} together",
    }
    if prediction.cost is not None:
        price = f"{_number(cost.core_hours)} core hours x {prediction.price_per_core_hour:g}"
        lines["  cost"] = f"{_number(prediction.cost)} = {price}, without the download"
    workers = f"{counted(cost.workers, 'worker')} of {counted(cost.threads, 'core')}"
    return f"Predicted for {what}, with {workers}\n{_aligned(lines)}{_of_candidates(prediction)}"


def _of_candidates(prediction: Prediction) -> str:
    lines = {}
    if prediction.candidates_by_sample:
        lines["    as in the measured objects"] = _expected(prediction.candidates_by_sample)
    if prediction.candidates_by_evaluation:
        lines["    as in the ensemble's evaluation"] = (
            f"{_expected(prediction.candidates_by_evaluation)}; it holds more look-alikes than the sky"
        )
    if not lines:
        return "  candidates: unknown; few objects were scored, and the ensemble was not evaluated at this threshold\n"
    return f"  candidates at p_lens ≥ {prediction.threshold:g}, most of them no lenses at a low threshold\n{_aligned(lines)}"


def _expected(number: Expectation) -> str:
    return f"about {_number(round(number.value))} (95 %: {_number(round(number.low))} to {_number(round(number.high))})"


def _aligned(lines: dict[str, str]) -> str:
    width = max(map(len, lines))
    return "".join(f"{name:<{width}}  {text}\n" for name, text in lines.items())


def _number(value: float) -> str:
    """Return a number with three digits, or whole."""
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if rounded >= 100 or rounded == int(rounded) else f"{rounded:g}"


def _bytes(n: float) -> str:
    """Return a number of bytes in decimal units."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if n < 999.5:
            return f"{n:.3g} {unit}"
        n /= 1000
    return f"{_number(n)} TB"


def _duration(hours: float) -> str:
    if hours < 1 / 60:
        return f"{3600 * hours:.0f} s"
    return f"{60 * hours:.0f} min" if hours < 1 else f"{_number(hours)} h"
