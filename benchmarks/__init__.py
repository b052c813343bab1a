"""How fast and how cheap: every figure is a ratio to a floor that is measured in the same run on the same servers."""
