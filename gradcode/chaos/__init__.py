"""Chaos: a real cluster, disturbed in every way there is, and the proof that its run came out right."""
