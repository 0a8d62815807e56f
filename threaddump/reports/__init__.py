"""Renderers: each module writes a ``threaddump.report.Report`` to an open text file, never to a path.

``terminal`` for people at a prompt, ``markdown`` for tickets and chats, ``json`` for programs (its schema is
``report.schema.json``). ``text`` makes hostile text harmless and measures it; ``words`` holds the phrases that
the terminal and Markdown share. Import the one you need: nothing is imported here.
"""
