"""What every picture shares: a figure of its own, the look of its panels, and a small file."""

from pathlib import Path
from typing import TYPE_CHECKING

from hf_strategies.reports.palette import LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NUM_COLORS = 128  # a third of the file of true colours, and no eye tells


def new_figure(width: float, height: float, *, title: str) -> "Figure":
    """Make a figure that pyplot does not know of, with its heading.

    Args:
        width, height: In inches of 160 pixels: sharp at half that size.
        title: Heading.
    """
    from matplotlib.figure import Figure  # half a second that only pictures need

    figure = Figure(figsize=(width, height), dpi=160, facecolor=LIGHT["paper"])
    figure.set_layout_engine("constrained", w_pad=0.14, h_pad=0.09, hspace=0.0)
    figure.suptitle(title, x=0.014, ha="left", fontsize=15, fontweight="bold", color=LIGHT["ink"])
    return figure


def set_caption(figure: "Figure", text: str) -> None:
    """Write under the panels what they show in numbers, and what they do not show."""
    figure.supxlabel(text, x=0.014, ha="left", fontsize=9.5, color=LIGHT["muted"])


def dress_panel(panel: "Axes") -> None:
    """Leave of a panel's frame what helps to read it."""
    panel.grid(axis="y", color=LIGHT["line"], linewidth=0.8)
    panel.set_axisbelow(True)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.spines["bottom"].set_color(LIGHT["line"])
    panel.tick_params(which="both", color=LIGHT["line"], labelcolor=LIGHT["muted"], labelsize=9)


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    image = Image.frombuffer("RGBA", canvas.get_width_height(), canvas.buffer_rgba())
    image.convert("RGB").quantize(NUM_COLORS).save(path, format="PNG", optimize=True)
