"""How fast Scaffoldry is, beside what people would do without it. ``make bench`` runs all and writes the page."""
