"""QuantLab walks one small order from a paper result to a proven first live order."""
