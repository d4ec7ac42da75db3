"""Certificates of a run: an authority of its own, and short-lived ones for master, workers and operators."""
