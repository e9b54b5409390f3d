"""What networks are made of: their map, calls, configuration, files, views."""
