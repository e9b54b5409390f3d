"""The compiled form: a table of rows, what they are for, and their clocks."""
