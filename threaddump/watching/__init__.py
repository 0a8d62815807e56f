"""Watching a live process: light dumps again and again, what they show over time, and what to do when it gets bad.

``observe.py`` reads a dump and knows since when each thread is busy, ``conditions.py`` reads ``--when``, ``table.py``
draws, ``metrics.py`` exports to Prometheus, and ``loop.py`` puts them together.
"""
