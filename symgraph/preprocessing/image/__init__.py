"""Pictures: reading, random transforms, and batches from arrays, folders and tables."""
