"""The course of a training, and of its validation, as CSV and PNG."""

import csv

import numpy as np
from matplotlib.figure import Figure

COLUMNS = ("step", "seconds", "learning_rate", "loss")
"""Of the log of a training; the terms of the loss follow."""


def write_log(rows, path, terms):
    """Write `rows` (one a step, as `COLUMNS` and the names `terms` say) to `path`, a CSV file."""
    with path.open("w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow((*COLUMNS, *terms))
        out.writerows([f"{value:.6g}" for value in row] for row in rows)


def read_log(path):
    """The rows of a CSV file by `write_log`, N x columns."""
    return np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)


def draw_losses(logs, path, terms):
    """Draw the losses of trainings (name: rows) by `terms`, smoothed over 50 steps, as PNG."""
    figure = Figure(figsize=(3 * len(terms), 3), layout="constrained")
    shown = figure.subplots(1, len(terms), squeeze=False)[0]
    for column, (axes, part) in enumerate(zip(shown, terms, strict=True), len(COLUMNS)):
        for name, rows in logs.items():
            values = np.asarray(rows)[:, column]
            width = min(50, len(values))
            smooth = np.convolve(values, np.ones(width) / width, "valid")
            axes.plot(np.arange(len(smooth)) + width, smooth, label=name, linewidth=1)
        axes.set(title=part, xlabel="step", ylim=(0, None))
    figure.axes[0].set_ylabel("loss")
    figure.axes[-1].legend(fontsize=6)
    figure.savefig(path, dpi=120, metadata={"Software": None})


def draw_validation(figures, path):
    """Draw precision against recall, and how often detections of a score are right, as PNG.

    `figures` are those of a style (`figures.style_figures`).
    """
    figure = Figure(figsize=(8, 4), layout="constrained")
    found, scores = figure.subplots(1, 2)
    for rule, points in figures["precision_recall"].items():
        recall, precision = np.array(points).T
        found.plot(recall, precision, label=rule)
    found.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    found.legend(fontsize=8)
    curve = np.array(figures["calibration"]["curve"]).reshape(-1, 3)
    scores.plot((0, 1), (0, 1), color="grey", linewidth=0.8)
    scores.plot(curve[:, 1], curve[:, 2], marker="o")
    for count, score, share in curve:
        scores.annotate(f"{count:.0f}", (score, share), (3, -9), textcoords="offset points")
    scores.set(xlabel="score, calibrated on other regions", ylabel="share that is right")
    scores.set(xlim=(0, 1), ylim=(0, 1.02))
    figure.savefig(path, dpi=120, metadata={"Software": None})
