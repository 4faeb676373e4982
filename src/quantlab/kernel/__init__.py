"""Words shared by every layer: outcomes, results, time, ids and canonical bytes. No effects but time and entropy."""
