"""A look at the data: counts, queries, checks, and images of one physical sample."""
