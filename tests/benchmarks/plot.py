"""One picture: the distributions beside their budgets, and the growth with the mount table."""

import statistics
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")  # no display

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from benchmarks.report import BUDGETS, OURS, SCALED, THEIRS, Results, machine
from benchmarks.timings import BARE, Times

COLOURS = {BARE: "#777777", THEIRS: "#c08030", OURS: "#2060a0"}
NAMES = {BARE: "bare interpreter", THEIRS: "fusermount3 in C", OURS: "fusermount_py"}


def draw(results: Results, path: Path) -> None:
    """Write a PNG."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), width_ratios=(3, 2))
    _distributions(left, results.times)
    _growth(right, results.by_table_size)
    kind = machine()
    figure.suptitle(
        f"{kind['kernel']}, {kind['cores']} cores, {kind['system']}, Python {kind['python']}",
        fontsize=9,
    )
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": ""})


def _distributions(axes: Axes, times: Times) -> None:
    rows = [(BARE, BARE)]
    rows += [(name, each) for name in BUDGETS for each in (THEIRS, OURS) if each in times[name]]
    rows.reverse()
    boxes = axes.boxplot(
        [times[name][program] for name, program in rows],
        vert=False,
        showfliers=False,
        patch_artist=True,
        widths=0.6,
        medianprops={"color": "black"},
    )
    for box, (_, program) in zip(boxes["boxes"], rows, strict=True):
        box.set_facecolor(COLOURS[program])
    bare = statistics.median(times[BARE][BARE])
    for number, (name, program) in enumerate(rows, 1):
        if program == OURS:
            axes.vlines(BUDGETS[name] * bare, number - 0.45, number + 0.45, "#b02020")
    labels = [NAMES[BARE] if name == BARE else f"{name}: {NAMES[each]}" for name, each in rows]
    axes.set_yticks(range(1, len(rows) + 1), labels, fontsize=8)
    axes.set_xlim(left=0)
    axes.set_xlabel("milliseconds; box: quartiles; red: budget", fontsize=8)


def _growth(axes: Axes, by_table_size: dict[int, Times]) -> None:
    sizes = list(by_table_size)
    for program in (THEIRS, OURS):
        for name, style in zip(SCALED, ("-", "--", ":"), strict=True):
            if any(program not in by_table_size[size][name] for size in sizes):
                continue
            medians = [statistics.median(by_table_size[size][name][program]) for size in sizes]
            axes.plot(
                sizes,
                medians,
                style,
                color=COLOURS[program],
                marker=".",
                label=f"{name}: {NAMES[program]}",
            )
    axes.set_ylim(0, 1.5 * axes.get_ylim()[1])  # room for the legend
    axes.set_xlabel("other mounts in the table", fontsize=8)
    axes.set_ylabel("milliseconds (median)", fontsize=8)
    axes.legend(fontsize=7)
