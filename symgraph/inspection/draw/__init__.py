"""Graphs drawn: what is shown, where it goes, and as which kind of file."""
