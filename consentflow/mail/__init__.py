"""Everything that makes, sends and reads mail: letters rendered, messages frozen, SMTP spoken."""
