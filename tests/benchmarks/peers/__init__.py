"""The same sync, from PostgreSQL to the local Dub, by others: what it costs, and what happens when things go wrong.

``.quickstart/uv/bin/uv run --frozen --group peers python -m tests.benchmarks.peers``. Linux only, a quarter of an hour.

A contender is a module with three functions: ``sync`` does the work of one Airflow task, ``settle`` has it believe that
all rows were applied, ``forget`` loses its memory of what was. ``AFTER_A_LOSS`` and ``AT_THE_LIMIT`` are its options in
such cases. In the table of costs, Dub has only the customers that changed.
"""
