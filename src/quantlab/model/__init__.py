"""Pure values and rules of one order: what is asked, what is allowed, what is proven. No I/O."""
