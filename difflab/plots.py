"""Plotly figures of the numbers that the scenes show, for papers and for notebooks read without a kernel.

Colours have one meaning each: exact is green and solid, learned is vermilion and dashed, data is blue, noise is grey.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .chain import MarkovChain
from .checks import brief
from .convergence import Measured
from .data import GaussianMixture
from .denoisers import ExactDenoiser
from .elbo import Terms
from .mmse import Profile, RateDistortion
from .samplers import Sampler, State, diagnostics, recursion
from .samplers.walks.metropolis import Chain
from .schedules import Schedule
from .training import LossCurve

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

EXACT, LEARNED, DATA, NOISE = "#009E73", "#D55E00", "#0072B2", "#7F7F7F"
LOG_SNR, BETA = "#CC79A7", "#E69F00"
_CYCLE = (LOG_SNR, DATA, BETA, EXACT, "#56B4E9", LEARNED, NOISE)  # side by side, where no meaning is left
_SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up")


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


def log_snr_curves(schedules: Sequence[Schedule], points: int = 200) -> Figure:
    """log-SNR of several schedules over t, one trace for each: all that tells one from another.

    Raises ValueError if there is none.
    """
    go = _plotly()
    if not schedules:
        raise ValueError("There is nothing to draw: give a schedule or more.")
    t = torch.linspace(0, 1, points + 2, dtype=torch.float64)[1:-1]  # at the ends themselves it may be infinite
    figure = go.Figure()
    for i, schedule in enumerate(schedules):
        dash = ("solid", "dash", "dot", "dashdot", "longdash")[i // len(_CYCLE) % 5]
        line = {"color": _CYCLE[i % len(_CYCLE)], "dash": dash}
        figure.add_scatter(x=t.tolist(), y=schedule.log_snr(t).tolist(), name=schedule.name, line=line)
    figure.update_xaxes(title_text="t (0 data, 1 noise)", range=[0, 1])
    figure.update_yaxes(title_text="log-SNR (nats)")
    return figure.update_layout(template="simple_white", title="How the signal is lost")


def mmse_curves(learned: Profile | None, optimal: Profile | None) -> Figure:
    """The error of denoising times SNR / 2, per dimension, over log-SNR: the area under it is nats (`mmse`).

    Traces "optimal (exact)" and "learned", those that are given. Raises ValueError if there is none.
    """
    go = _plotly()
    figure = go.Figure()
    given = (("optimal (exact)", EXACT, "solid", optimal), ("learned", LEARNED, "dash", learned))
    for name, colour, dash, profile in given:
        if profile is None:
            continue
        scale = profile.log_snr.exp() / (2 * profile.dim)
        figure.add_scatter(
            x=profile.log_snr.tolist(),
            y=(scale * profile.mse).tolist(),
            error_y={"type": "data", "array": (scale * profile.error).tolist(), "thickness": 1},
            name=name,
            mode="lines",
            line={"color": colour, "dash": dash},
        )
    if not figure.data:
        raise ValueError("There is nothing to draw: give a learned or an optimal profile.")
    figure.update_xaxes(title_text="log-SNR (noise left, data right)")
    figure.update_yaxes(title_text="nats/dim per unit of log-SNR")
    return figure.update_layout(template="simple_white", title="Information by noise level", showlegend=True)


def rate_distortion(learned: RateDistortion | None, optimal: RateDistortion | None) -> Figure:
    """Root mean squared error of what is known of x_0, over what was paid for it: progressive coding.

    Traces as in `mmse_curves`. Raises ValueError if there is none, or if the two have different units.
    """
    go = _plotly()
    given = [
        (name, colour, dash, curve)
        for name, colour, dash, curve in (
            ("optimal (exact)", EXACT, "solid", optimal),
            ("learned", LEARNED, "dash", learned),
        )
        if curve is not None
    ]
    if not given:
        raise ValueError("There is nothing to draw: give a learned or an optimal curve.")
    if len({curve.unit for *_, curve in given}) > 1:
        raise ValueError("Bits/dim and nats/dim cannot be drawn on one axis.")
    figure = go.Figure()
    for name, colour, dash, curve in given:
        line = {"color": colour, "dash": dash}
        figure.add_scatter(x=curve.rate.tolist(), y=curve.rmse.tolist(), name=name, mode="lines", line=line)
    figure.update_xaxes(title_text=f"rate ({given[0][3].unit})", rangemode="tozero")
    figure.update_yaxes(title_text="distortion (root mean squared error)", rangemode="tozero")
    return figure.update_layout(template="simple_white", title="Progressive coding", showlegend=True)


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


def convergence(measured: Sequence[Measured]) -> Figure:
    """Error over evaluations of samplers that were measured (`convergence.measure`), on logarithmic axes: a method of order p
    falls along a line of slope -p, and which is lowest at a number of evaluations is best there.

    One trace for each, named after its method with its measured order; weak orders, errors of the law, are dashed. Raises
    ValueError if there is none, or if they were measured on different targets.
    """
    go = _plotly()
    if not isinstance(measured, list | tuple) or not all(isinstance(one, Measured) for one in measured):
        raise TypeError(f"Draw a list of what convergence.measure returns, but got {brief(measured)}.")
    if not measured:
        raise ValueError("There is nothing to draw: give a measured sampler or more.")
    targets = {one.target for one in measured}
    if len(targets) > 1:
        raise ValueError(f"Errors on different targets cannot be compared on one axis: {', '.join(sorted(targets))}.")
    figure = go.Figure()
    for i, one in enumerate(measured):
        colour, symbol = _CYCLE[i % len(_CYCLE)], _SYMBOLS[i // len(_CYCLE) % len(_SYMBOLS)]
        figure.add_scatter(
            x=list(one.evaluations),
            # what is 0 has no place on a logarithmic axis
            y=[error if error > 0 else None for error in one.errors],
            name=f"{one.label}: order {one.order:.2f}",
            mode="lines+markers",
            line={"color": colour, "dash": "dash" if one.weak else "solid"},
            marker={"color": colour, "symbol": symbol},
        )
    figure.update_xaxes(title_text="evaluations of the denoiser", type="log")
    figure.update_yaxes(title_text="error", type="log", exponentformat="power")
    title = f"How samplers converge: {next(iter(targets))}"
    return figure.update_layout(template="simple_white", title=title, showlegend=True)


def loss_curves(curves: Mapping[str, Sequence[tuple[float, float]]], *, above_floor: bool = False) -> Figure:
    """Losses over steps, one trace for each name; long ones as means of equal blocks of steps.

    Args:
        curves: (step, loss) by name.
        above_floor: the losses are what lies above the floor of each; what noise puts below it is left out.

    Raises TypeError for what is no table of curves, ValueError if there is no loss in any of them.
    """
    go = _plotly()
    if not isinstance(curves, Mapping) or not all(isinstance(name, str) for name in curves):
        raise TypeError(f"Loss curves are given by name, {{name: [(step, loss), ...]}}, but got {brief(curves)}.")
    if not any(len(points) for points in curves.values()):
        raise ValueError("There is nothing to draw: no run has a loss yet.")
    figure = go.Figure()
    for i, (name, points) in enumerate(curves.items()):
        curve = LossCurve(limit=200)
        for step, loss in points:
            curve.add(int(step), loss)
        steps, losses = curve.points().T.tolist()
        dash = ("solid", "dash", "dot", "dashdot", "longdash")[i // len(_CYCLE) % 5]
        line = {"color": _CYCLE[i % len(_CYCLE)], "dash": dash}
        kept = [loss if loss > 0 else None for loss in losses]  # 0 has no place on a logarithmic axis
        figure.add_scatter(x=steps, y=kept, name=name, mode="lines", line=line)
    figure.update_xaxes(title_text="steps")
    figure.update_yaxes(
        title_text="loss above its exact floor" if above_floor else "loss", type="log", exponentformat="power"
    )
    return figure.update_layout(template="simple_white", title="How runs learn", showlegend=True)


def langevin_diagnostics(states: Sequence[State], oracle: ExactDenoiser, sampler: Sampler | None = None) -> Figure:
    """What the states of a walk at one level say of it, over its steps: a panel each for as much as is known.

    Traces "mode j" and its "weight j", exact; of one Gaussian and a `sampler` with a recursion "variance j" measured, with its
    error, and "predicted j", exact; "rho j" by lag, of each coordinate, with its effective sample size in the name; of MALA
    and HMC "acceptance". Raises ValueError with fewer than 4 states, TypeError for what are none.
    """
    go = _plotly()
    if isinstance(states, Tensor) or not isinstance(states, Iterable):
        raise TypeError(f"A walk is drawn from the states that sample yields, but got {brief(states)}.")
    if sampler is not None and not isinstance(sampler, Sampler):
        raise TypeError(f"sampler is the one that walked, such as Langevin(), or None, but got {brief(sampler)}.")
    states = list(states)
    panels: list[tuple[str, list[dict[str, Any]]]] = []
    mass = diagnostics.mode_mass_over_time(states, oracle)
    if isinstance(oracle.data, GaussianMixture) and len(oracle.data.weights) > 1:
        pairs = zip(mass.mass.T, oracle.data.weights.tolist(), strict=True)
        panels.append(
            ("mode mass", [t for j, (m, w) in enumerate(pairs) for t in _beside(j, "mode", m, "weight", m * 0 + w)])
        )
    elif sampler is not None:
        predicted = recursion.predicted_variance(
            sampler, oracle, [state.t for state in states], recursion.measured_variance(states[:1], oracle)[0][0]
        )
        measured, error = recursion.measured_variance(states, oracle)
        rows = zip(measured.T, predicted.T, error.T, strict=True)
        lines = [t for j, (m, p, e) in enumerate(rows) for t in _beside(j, "variance", m, "predicted", p, e)]
        panels.append(("variance", lines))
    rho = diagnostics.autocorrelation(states).reshape(len(states), -1)[: len(states) // 2]
    worth = diagnostics.effective_sample_size(states).reshape(-1)
    names = [f"rho {j}: {float(n):.0f} effective samples" for j, n in enumerate(worth)]
    panels.append(
        (
            "autocorrelation by lag",
            [{"y": r.tolist(), "name": name, "line": {"color": NOISE}} for r, name in zip(rho.T, names, strict=True)],
        )
    )
    chains = [state.memory for state in states if isinstance(state.memory, Chain)]
    if chains:
        accepted = [float(chain.probability.mean()) for chain in chains]
        panels.append(("acceptance", [{"y": accepted, "name": "acceptance", "line": {"color": DATA}}]))
    figure = go.Figure()
    figure.set_subplots(1, len(panels), subplot_titles=[title for title, _ in panels])
    for column, (_, lines) in enumerate(panels, start=1):
        for line in lines:
            figure.add_scatter(mode="lines", **line, row=1, col=column)
    figure.update_xaxes(title_text="steps")
    return figure.update_layout(template="simple_white", title="What the walk is worth")


def _beside(
    j: int, name: str, measured: Tensor, exact_name: str, exact: Tensor, error: Tensor | None = None
) -> list[dict[str, Any]]:
    bars = None if error is None else {"type": "data", "array": error.tolist(), "thickness": 1}
    return [
        {"y": measured.tolist(), "name": f"{name} {j}", "line": {"color": DATA, "dash": "dot"}, "error_y": bars},
        {"y": exact.tolist(), "name": f"{exact_name} {j}", "line": {"color": EXACT}},
    ]


def _plotly() -> Any:
    try:
        import plotly.graph_objects
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("difflab.plots needs plotly: pip install plotly.") from error
    return plotly.graph_objects
