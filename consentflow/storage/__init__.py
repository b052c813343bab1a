"""Postgres: one module per group of tables, one function per query, rows turned into values at once."""
