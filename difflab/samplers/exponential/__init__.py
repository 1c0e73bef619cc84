"""Exponential integrators: what is linear in the flow is solved exactly, the denoiser is drawn through a few noise levels."""
