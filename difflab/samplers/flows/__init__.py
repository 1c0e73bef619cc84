"""Solvers of the probability flow and of the reverse SDE as they stand: Euler, Heun, Runge and Kutta."""
