"""Langevin and its kin: walks at one noise level or at falling ones, and what their states are worth."""
