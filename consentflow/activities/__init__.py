"""Temporal activities: they read the truth from Postgres, do one outward thing, and record it."""
