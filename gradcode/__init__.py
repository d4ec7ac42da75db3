"""The face for people: the command line, local clusters and the lab."""
