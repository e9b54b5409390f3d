"""Graphs and profiles for other programs: Perfetto, TensorBoard, networkx, JSON."""
