"""How close the limiter comes to the best possible, in :mod:`tests.support.simulated_limit`.

``python -m tests.benchmarks.pacing`` prints a table.
"""

from __future__ import annotations

import itertools
import statistics
from dataclasses import dataclass, replace

from tests.support.simulated_limit import Case, Simulation


@dataclass(frozen=True)
class Row:
    """A case with what is required of it: the least efficiency and the most 429s, of the median run."""

    case: Case
    efficiency: float
    refused: float

    def text(self, seeds: int) -> str:
        runs = [Simulation(self.case, seed).run() for seed in range(seeds)]
        efficiency = [run.efficiency for run in runs]
        refused = [run.refused for run in runs]
        median, most = statistics.median(efficiency), statistics.median(refused)
        verdict = "ok" if median >= self.efficiency and most <= self.refused else "MISSED"
        return (
            f"{self.case.name:<50} {median:6.3f} {min(efficiency):6.3f} {self.efficiency:6.2f}   "
            f"{most:7.2%} {max(refused):7.2%} {self.refused:7.1%}   {seeds:3}  {verdict}"
        )


def _rows() -> list[Row]:
    one, off, several, changes = (0.98, 0.005), (0.95, 0.02), (0.97, 0.05), (0.95, 0.05)
    table = []
    for limit, given, windows in itertools.product((1_200, 3_000), (False, True), (2, 10)):
        name = f"one client, L = {limit}, {'given' if given else 'unknown'}, N = {windows} L"
        case = Case(name, rows=windows * limit, limit=limit, given=given)
        table += [Row(case, *one), Row(replace(case, name="  its clock 5 s off", clock_error=5.0), *off)]
    for workers, limit in itertools.product((16, 32), (1_200, 3_000)):
        case = Case(f"{workers} workers, L = {limit}, unknown, N = 10 L", rows=10 * limit, limit=limit, workers=workers)
        table += [Row(case, *one), Row(replace(case, name="  N = 2 L", rows=2 * limit), *one)]
    for clients, stagger, workers in itertools.product((2, 4), (0.0, 5.0, 30.0), (8, 16)):
        name = f"{clients} clients x {workers} workers, N = 6 L, start within {stagger:.0f} s"
        table.append(Row(Case(name, 7_200, workers=workers, clients=clients, stagger=stagger), *several))
    for rows, at_a_time in itertools.product((3_000, 500), (4, 8)):
        name = f"20 mapped tasks of {rows} rows, {at_a_time} at a time, L = 3000"
        table.append(Row(Case(name, 20 * rows, 3_000, clients=20, at_a_time=at_a_time), *changes))
    others = Case("half used by others, N = 3 L", 3_600, others=10.0)
    lowered = Case("limit lowered by half", 6_600, change=(120.0, 600))
    raised = Case("limit raised by half", 10_200, change=(120.0, 1_800))
    table += [Row(others, *changes), Row(lowered, *changes), Row(raised, *changes)]
    table += [Row(replace(case, name=f"  {case.name}, 4 clients", clients=4), *changes) for case in (lowered, raised)]
    table += [
        Row(Case("5 % are 404s, N = 6 L", 7_200, not_found=0.05), *one),
        Row(Case("5 % are 404s, N = 6 L, 4 clients", 7_200, not_found=0.05, clients=4), *several),
        Row(Case("limiter open, all headers 0", 7_200, not_found=0.05, open_from=0.0), *one),
        Row(Case("only 429s for 20 s, N = 4 L", 4_800, storm=(100.0, 120.0)), *changes),
        Row(Case("only 429s for the first 5 s, N = 2 L (no requirement)", storm=(0.0, 5.0)), 0.0, 1.0),
        Row(Case("Date cached for up to 1 s", date="cached"), *one),
        Row(Case("Date missing (no requirement)", date="missing"), 0.0, 1.0),
    ]
    return table


def main() -> None:
    print(f"{'':<50} {'best/measured':^20}   {'429s / N':^23}")
    print(f"{'case':<50} {'median':>6} {'worst':>6} {'req.':>6}   {'median':>7} {'worst':>7} {'req.':>7}  seeds")
    for row in _rows():
        print(row.text(seeds=max(5, 60_000 // row.case.rows)), flush=True)


if __name__ == "__main__":
    main()
