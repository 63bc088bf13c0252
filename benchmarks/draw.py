"""Draws what `growth.py` has measured; its JSON comes on stdin."""

import json
import sys

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.ticker import EngFormatter

given = json.load(sys.stdin)
rows, wall, cpu, memory = zip(*given["points"], strict=True)
mpl.rcParams |= {"svg.hashsalt": "growth", "font.size": 9, "axes.grid": True, "grid.alpha": 0.3}

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
left.loglog(rows, wall, "o-", label="wall")
left.loglog(rows, cpu, "s--", label="CPU, all cores")
left.set(title="seconds", xlabel="profiles")
left.legend()
right.semilogx(rows, memory, "o-", color="tab:green")
right.set(title="memory at its peak, MiB", xlabel="profiles", ylim=(0, None))
for axes in (left, right):
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
figure.suptitle(f"{given['machine']}", fontsize=8)
figure.savefig(given["picture"], metadata={"Date": None})
