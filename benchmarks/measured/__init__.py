"""What is measured: a row of the table, or a few that belong together, in each file."""
