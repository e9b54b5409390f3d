"""What networks are made of: the map of their layers, calls, copies, text and files, views."""
