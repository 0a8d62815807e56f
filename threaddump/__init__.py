"""Tells from a thread dump what the threads are stuck on, who waits behind them, and what to do."""

__version__ = "0.1.0"
