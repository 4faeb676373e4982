"""The only folder that writes files: durable records, views, locks, the ledger of claims."""
