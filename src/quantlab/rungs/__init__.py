"""The ladder: one file a rung, in the runbook's words. A rung imports no other rung and no concrete venue."""
