"""Analyses of the nest IR: types, accesses, bounds, dependences, and what runs in parallel."""
