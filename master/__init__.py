"""The master decides: rounds, membership, deadlines, decoding, the step."""
