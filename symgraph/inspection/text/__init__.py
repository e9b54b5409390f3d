"""Views as text: tables, listings, explanations."""
