"""What figures are held against: the least that the same job can cost, and what others do for it."""
