"""The version that all three packages and both wheels carry."""

__version__ = "0.1.0"
