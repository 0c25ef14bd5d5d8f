"""The coordinator: plans an experiment, enqueues its jobs, aggregates their scores."""
