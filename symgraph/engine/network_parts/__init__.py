"""What networks are made of: their map, calls, configuration, copies, files, views."""
