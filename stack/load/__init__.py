"""What load tests and sweeps work with: many viewers at little cost, updates, CPU by part."""
