"""Plotly figures of the numbers that the scenes show, for papers and for notebooks read without a kernel.

Colours have one meaning each: exact is green and solid, learned is vermilion and dashed, data is blue, noise is grey.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .chain import MarkovChain
from .elbo import Terms
from .schedules import Schedule

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

EXACT, LEARNED, DATA, NOISE = "#009E73", "#D55E00", "#0072B2", "#7F7F7F"
LOG_SNR, BETA = "#CC79A7", "#E69F00"


def schedule_curves(schedule: Schedule, steps: int = 1000) -> Figure:
    """alpha, sigma, log-SNR and beta of a chain of `steps`, over t.

    Traces "alpha" and "sigma" (k = 0..T), "log-SNR" and "beta" (k = 1..T). ModuleNotFoundError without plotly.
    """
    go = _plotly()
    chain = MarkovChain(schedule, steps)
    t = chain.times.tolist()
    figure = go.Figure()
    figure.set_subplots(1, 3, subplot_titles=("signal and noise", "log-SNR (nats)", f"beta of T = {steps}"))
    figure.add_scatter(x=t, y=chain.alpha.tolist(), name="alpha", line={"color": DATA}, row=1, col=1)
    noise = {"color": NOISE, "dash": "dash"}
    figure.add_scatter(x=t, y=chain.sigma.tolist(), name="sigma", line=noise, row=1, col=1)
    snr = chain.log_snr[1:].tolist()
    figure.add_scatter(x=t[1:], y=snr, name="log-SNR", line={"color": LOG_SNR}, row=1, col=2)
    beta = chain.beta[1:].tolist()
    figure.add_scatter(x=t[1:], y=beta, name="beta", line={"color": BETA}, row=1, col=3)
    figure.update_xaxes(title_text="t (0 data, 1 noise)")
    figure.update_yaxes(type="log", row=1, col=3)
    return figure.update_layout(template="simple_white", title=f"{schedule.name}, T = {steps}")


def elbo_terms(learned: Terms | None, optimal: Terms | None) -> Figure:
    """The terms L_{k-1} per unit of t, in bits/dim or nats/dim, so that bins of any width compare: areas are bits.

    One trace for each that is given, "optimal (exact)" and "learned", with its standard error. Raises ValueError if there
    is none, or if the two have different units.
    """
    go = _plotly()
    given: list[tuple[str, str, str, Terms]] = []
    if optimal is not None:
        given.append(("optimal (exact)", EXACT, "solid", optimal.per_dim()))
    if learned is not None:
        given.append(("learned", LEARNED, "dash", learned.per_dim()))
    if not given:
        raise ValueError("There is nothing to draw: give learned or optimal terms.")
    if len({terms.unit for *_, terms in given}) > 1:
        raise ValueError("Bits/dim and nats/dim cannot be drawn on one axis.")
    figure = go.Figure()
    for name, colour, dash, terms in given:
        width = terms.edges.diff()
        figure.add_scatter(
            x=((terms.edges[1:] + terms.edges[:-1]) / 2).tolist(),
            y=(terms.L / width).tolist(),
            error_y={"type": "data", "array": (terms.L_error / width).tolist(), "thickness": 1},
            name=f"{name}: {terms.total:.3f} ± {terms.total_error:.3f} {terms.unit}",
            mode="lines",
            line={"color": colour, "dash": dash, "shape": "hvh"},
        )
    unit = given[0][3].unit
    figure.update_xaxes(title_text="t (0 data, 1 noise)", range=[0, 1])
    figure.update_yaxes(title_text=f"{unit} per unit of t", type="log", exponentformat="power")
    return figure.update_layout(template="simple_white", title="Where the bits go")


def _plotly() -> Any:
    try:
        import plotly.graph_objects
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("difflab.plots needs plotly: pip install plotly.") from error
    return plotly.graph_objects
