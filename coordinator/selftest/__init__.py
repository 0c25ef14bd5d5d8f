"""The selftest: real processes, a real Redis and a real engine, broken on purpose, and what became of the numbers.

``suite`` runs rows; a row is a ``Fault`` done to a ``World`` that is running a ``Workload``; ``witness`` reads what the
world left on its volume, and ``judge``, which touches nothing, says whether that is right. ``page`` writes it down.
"""
