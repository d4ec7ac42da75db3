"""The version of gradcode, the same for master, workers and command line."""

__version__ = "0.1.0"
