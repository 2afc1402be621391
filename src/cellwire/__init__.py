"""Cellwire reads, proves and serves what a battery management system says."""

__version__ = "0.1.0"
