"""The border to the exchanges: reads apart from what moves money, one folder a venue."""
