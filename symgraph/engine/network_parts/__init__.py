"""Parts of networks: their map, calls, configuration, files, views."""
