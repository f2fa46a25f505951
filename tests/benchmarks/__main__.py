"""
make -C packaging bench [BENCH=quick]

    timings   a round: bare interpreter, C, ours; figures as ratios of medians       (timings.py)
    scaling   the same with 10, 1,000 and 5,000 other mounts in the table
    crowd     200 mounts and unmounts, 8 at a time
    guards    one, and 500 waiting at once: memory; then all their servers die       (guards.py)
    waiting   the time to fd while 4,000 helpers wait                               (waiting.py)
    listing   the admin's `mounts` with 1,000 FUSE mounts                           (listing.py)
    reaping   the admin's `reap --watch` when 100 of 120 servers are killed         (reaping.py)

All of it in a private mount namespace, mounting as an ordinary user through the installed setuid
helper. Prints one table and writes bench.json and bench.png beside this file.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

from benchmarks import guards, listing, reaping, timings, waiting
from benchmarks.report import OURS, THEIRS, Listing, Results, as_json, machine, table
from benchmarks.spawn import Helper
from support.machine import install, make_private

THEIR_PATH = "/usr/bin/fusermount3"
TABLE_SIZES = (10, 1000, 5000)
AT_A_TIME = 8


def main() -> int:
    if os.geteuid() != 0:
        print("bench: needs root, for a setuid helper and a mount namespace of its own")
        return 1
    quick = os.environ.get("BENCH") == "quick"
    make_private()
    helpers = [Helper(OURS, str(install()))]
    if Path(THEIR_PATH).exists():
        helpers.append(Helper(THEIRS, THEIR_PATH))

    results = measure(helpers, quick=quick)
    print(", ".join(f"{name} {words}" for name, words in machine().items()))
    print(*table(results), sep="\n")
    if quick:
        with tempfile.TemporaryDirectory() as folder:
            write(results, Path(folder))
        print("a quick run is a trial of the benchmark: bench.json and bench.png stay as they were")
    else:
        write(results, Path(__file__).parent)
    return 0


def measure(helpers: list[Helper], *, quick: bool) -> Results:
    times = timings.measure(helpers, 30 if quick else 200)
    by_table_size: dict[int, timings.Times] = {size: {} for size in TABLE_SIZES}
    for _ in range(2 if quick else 6):  # and not each size once: the machine is not itself for long
        for size, so_far in by_table_size.items():
            with timings.other_mounts(size):
                timings.add(so_far, timings.measure(helpers, 5 if quick else 15))
    crowd, guarded, listed = (40, 50, 100) if quick else (200, 500, 1000)
    return Results(
        times,
        by_table_size,
        {each.name: timings.measure_crowd(each, crowd, AT_A_TIME) for each in helpers},
        {each.name: guards.measure(each, 1) for each in helpers},
        {each.name: guards.measure(each, guarded) for each in helpers},
        waiting.measure(helpers[0], 4000, 2 if quick else 20),
        Listing(listed, listing.measure(listed, rounds=3 if quick else 10)),
        reaping.measure(helpers[0], *((24, 20) if quick else (120, 100))),
    )


def write(results: Results, folder: Path) -> None:
    text = json.dumps(as_json(results), indent=1, ensure_ascii=False)
    (folder / "bench.json").write_text(text + "\n", encoding="utf-8")
    from benchmarks import plot  # the only user of matplotlib

    plot.draw(results, folder / "bench.png")


if __name__ == "__main__":
    sys.exit(main())
