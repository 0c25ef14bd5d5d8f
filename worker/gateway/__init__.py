"""The container's only way to a model."""
