"""A worker computes: chunk gradients, combined into coded messages as it is told."""
