"""The worker: takes jobs from the queue, runs them in a sandbox, scores and commits them."""
