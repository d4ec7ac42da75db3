"""Experiments without a network: the simulator plays the production code."""
