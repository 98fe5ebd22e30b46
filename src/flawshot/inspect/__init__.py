"""Inspection of data: counts, queries, checks, and images of one physical sample."""
