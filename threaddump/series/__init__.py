"""Several dumps of one process over time: which threads are stuck, which go on, what grows.

``snapshots.py`` keeps of each dump what later ones are compared with, ``processes.py`` tells which dumps are of one
process and in what order they were taken, ``compare.py`` compares them, and ``findings.py`` says what is wrong.
"""
