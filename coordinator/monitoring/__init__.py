"""What people and their dashboards see of experiments under way: Flower's page, links into it, Prometheus metrics."""
