"""Where scaffolds come from, one module per proposer."""
