"""Rules over verified sessions: what needs a person's attention now."""
