"""The place of multi-step framework runs, one module per framework."""
