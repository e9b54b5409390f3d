"""Views of compiled graphs: text, networkx."""
