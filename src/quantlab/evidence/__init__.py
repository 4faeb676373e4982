"""What a record is, how records form a chain, and how a chain is verified. Pure: bytes in, findings out."""
