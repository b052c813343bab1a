"""Pure values and rules. Nothing here does I/O, reads the time, or knows SQL, SMTP or Temporal."""
