"""What the service does. Every command is one transaction: state, ledger entry, outbox row.

None talks to Temporal or SMTP, so both may be down.
"""
