"""The places where scaffolds run."""
