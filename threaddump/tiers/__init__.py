"""Dumps of several services at one moment: which tier calls which, who waits for whom, where the cascade ends.

``outlines`` says what is kept of a dump, ``calls`` who is called, ``cascades`` what follows from it, ``findings`` what
is wrong. ``services`` reads the names that the command line gives.
"""
