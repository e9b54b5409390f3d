"""One module an engine.

``make(workload, mode, threads)`` gives a call that runs the workload's batches once.
"""
