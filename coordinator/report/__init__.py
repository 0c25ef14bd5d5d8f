"""What people see of an experiment, while it runs and afterwards."""
